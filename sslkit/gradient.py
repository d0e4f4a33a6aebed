"""One batch -> gradients: how the loss of a method becomes the `.grad` of its parameters."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from sslkit import draws, signatures

Precision = Literal["fp32", "bf16"]
Scalars = dict[str, Tensor]


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[Any]:
    """The context in which networks run at a precision; losses keep to float32 by themselves."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def seed_noise(*address: int | str) -> None:
    """Seed torch's generators from an address, so that dropout and its like are functions of (seed, step)."""
    torch.manual_seed(draws.key(*address) & 0xFFFFFFFF)  # the CPU's generator reads 32 bits only


def whole(
    method: Any, batch: Any, step: int, *, seed: int, device: torch.device, precision: Precision
) -> tuple[Tensor, Scalars]:
    """The gradients of a batch in one pass.

    Args:
        method: `project` and `objective` of the method's contract.
        batch: `views`, a list of `(n, c, h, w)`, with `labels (n,)` or None and `indices (n,)`.
        step: steps done so far; with `seed` it decides the model's own noise.
        seed: the seed of the run.
        device: where the method lies.
        precision: `fp32`, or `bf16` autocast.

    Returns:
        The loss, detached, and the scalars to be logged.
    """
    move = partial(Tensor.to, device=device, non_blocking=True)
    seed_noise(seed, "model", step)
    with autocast(device, precision):
        outputs = method.project([move(view) for view in batch.views])
        offered = {"labels": None if batch.labels is None else move(batch.labels), "indices": move(batch.indices)}
        loss, scalars = method.objective(*outputs, **signatures.declared(method.objective, offered))
    loss.backward()
    return loss.detach(), scalars
