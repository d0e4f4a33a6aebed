"""One batch -> gradients: how the loss of a method becomes the `.grad` of its parameters."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from sslkit import draws, signatures
from sslkit.distributed.gather import gather, own_rows
from sslkit.distributed.gradients import average_gradients
from sslkit.distributed.ranks import num_ranks, rank

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

    With several ranks each holds its own rows of the batch: `objective` sees the outputs, labels and indices of all of them,
    and the gradients are those of the whole batch (`sslkit.distributed`).

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
    seed_noise(seed, "model", step, *_place())
    with autocast(device, precision):
        outputs = method.project([view.to(device, non_blocking=True) for view in batch.views])
        everything = [gather(output) for output in outputs]
        seed_noise(seed, "objective", step)
        offered = {name: None if one is None else gather(one) for name, one in _offered(method, batch, device).items()}
        loss, scalars = method.objective(*everything, **offered)
    loss.backward()
    average_gradients(method.parameters())
    return loss.detach(), scalars


def in_micro_batches(
    method: Any, batch: Any, step: int, *, seed: int, device: torch.device, precision: Precision
) -> tuple[Tensor, Scalars]:
    """The gradients of a batch slice by slice, with the memory of a slice (arXiv:2101.06983, section 3.2).

    `project` without a graph gives the outputs of all slices; `objective` and its gradient by these outputs are those of the
    whole batch, negatives included; `project` again, with a graph, takes that gradient on to the parameters. So it is not an
    accumulation of the gradients of small batches. Without batch norm and without noise in the model (dropout) the gradients
    are those of the whole batch to rounding. Batch norm takes its statistics over a slice, and its running statistics move in
    the second pass only; noise is each slice's own, and the same in both of its passes.

    With several ranks each holds its own rows of every slice, and `labels` and `indices` are those of all ranks' rows.

    Args:
        method: `project` and `objective` of the method's contract.
        batch: `first` and `second`, the same slices twice, each with `views`; `labels (n,)` or None and `indices (n,)` of all.
        step: steps done so far; with `seed` and the number of the slice it decides the model's own noise.
        seed: the seed of the run.
        device: where the method lies.
        precision: `fp32`, or `bf16` autocast.

    Returns:
        The loss, detached, and the scalars to be logged.
    """
    project = partial(_project_slice, method, step=step, seed=seed, device=device, precision=precision)
    buffers = [buffer.clone() for buffer in method.buffers()]
    with torch.no_grad():
        pieces, own = [], []
        for number, one in enumerate(batch.first):
            pieces.append([gather(piece) for piece in project(one, number)])
            own.append(own_rows(len(one.indices)))
        for buffer, before in zip(method.buffers(), buffers, strict=True):
            buffer.copy_(before)
    seed_noise(seed, "objective", step)
    outputs = [torch.cat(output).requires_grad_(output[0].is_floating_point()) for output in zip(*pieces, strict=True)]
    with autocast(device, precision):
        loss, scalars = method.objective(*outputs, **_offered(method, batch, device))
    loss.backward()
    first = 0
    for number, one in enumerate(batch.second):
        rows = slice(first + own[number].start, first + own[number].stop)
        pairs = zip(project(one, number), outputs, strict=True)
        ends = [(piece, output.grad[rows]) for piece, output in pairs if piece.requires_grad and output.grad is not None]
        # Times the number of ranks, for the mean over ranks is to be the sum of what each has from its own rows.
        torch.autograd.backward([piece for piece, _ in ends], [gradient * num_ranks() for _, gradient in ends])
        first += len(pieces[number][0])
    average_gradients(method.parameters())
    return loss.detach(), scalars


def _project_slice(
    method: Any, one: Any, number: int, *, step: int, seed: int, device: torch.device, precision: Precision
) -> tuple[Tensor, ...]:
    seed_noise(seed, "model", step, number, *_place())
    with autocast(device, precision):
        outputs: tuple[Tensor, ...] = method.project([view.to(device, non_blocking=True) for view in one.views])
        return outputs


def _place() -> tuple[int, ...]:
    """The rank as part of an address, so that its images get noise of their own; rank 0's is that of a single process."""
    return (rank(),) if rank() else ()


def _offered(method: Any, batch: Any, device: torch.device) -> dict[str, Tensor | None]:
    """Labels and indices, as far as the objective declares them."""
    labels = None if batch.labels is None else batch.labels.to(device, non_blocking=True)
    return signatures.declared(method.objective, {"labels": labels, "indices": batch.indices.to(device, non_blocking=True)})
