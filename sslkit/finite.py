"""Finite: whether a loss, its gradients or weights hold a NaN or an infinity, and which of them does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

_SLICE = 2**20  # numbers looked at together

Named = Iterable[tuple[str, nn.Parameter]]


def complaint(loss: Tensor, scalars: Mapping[str, Tensor], *, parameters: Named) -> str:
    """What is not finite after a backward pass, in words that end with no full stop; nothing where all is.

    A look costs one norm over all gradients and one wait for the device. Only where the norm is not finite is each gradient
    looked at: a square that overflows makes it infinite too, and then there is no complaint. A scalar that is not finite beside
    a finite loss is no complaint either: it is logged, and moves nothing.

    Args:
        loss: the loss, `()`.
        scalars: what the loss says beside its value; where the loss is not finite, those that are not are named.
        parameters: name and parameter of all that have, or may have, a gradient.
    """
    trained = [(name, one.grad) for name, one in parameters if one.grad is not None]
    if _all_finite(loss, [gradient for _, gradient in trained]):
        return ""
    if not torch.isfinite(loss):
        beside = [f"{name} is {float(value)}" for name, value in scalars.items() if not torch.isfinite(torch.as_tensor(value))]
        return f"the loss is {loss.item()}" + (f", and of the numbers beside it {', '.join(beside)}" if beside else "")
    wrong = not_finite(trained)
    if not wrong:
        return ""
    return f"the gradient of {wrong[0]} is not finite ({len(wrong)} of {len(trained)} parameters have such a gradient)"


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """The names of the tensors that hold a NaN or an infinity, in their order; whole numbers never do."""
    return [name for name, one in tensors if not _is_finite(one.detach())]


def _is_finite(tensor: Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    flat = (torch.view_as_real(tensor) if tensor.is_complex() else tensor).reshape(-1)
    parts = torch.split(flat, _SLICE)  # so that what is computed on the way stays small
    return all(bool((part.float() if part.itemsize == 1 else part).isfinite().all()) for part in parts)


def _all_finite(loss: Tensor, gradients: list[Tensor]) -> bool:
    """False where something may be not finite. An infinite or missing square stays so in the sum, so nothing is overlooked."""
    found = torch.isfinite(loss.detach())
    if gradients:
        found = found & torch.isfinite(get_total_norm(gradients)).to(found.device)
    return bool(found)
