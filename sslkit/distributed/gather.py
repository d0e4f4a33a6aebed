"""Gather: the rows of all ranks, with a gradient."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch import distributed as dist

from sslkit.distributed.ranks import num_ranks, rank, rows_of_all, sizes_of_all


def gather(rows: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "g ..."]:
    """The rows of all ranks one below the other, in the order of ranks, where each rank may have another number of them.

    The gradient of a rank's own rows is the sum of what all ranks' losses say of them. So where every rank computes the loss of
    the whole batch from the gathered rows, and gradients are averaged over ranks, they are the exact gradients of that loss,
    with no further factor (the SimCLR authors' code gathers in the same way: `objective.py`, `tpu_cross_replica_concat`).

    Args:
        rows: `(n, ...)` of this rank; integers too, which have no gradient.

    Returns:
        `(g, ...)`, with g the sum of the ranks' n; `rows` itself if there is one process.
    """
    if num_ranks() == 1:
        return rows
    sizes = sizes_of_all(len(rows))
    if not rows.is_floating_point():
        return rows_of_all(rows, sizes=sizes)
    gathered: Tensor = _Gather.apply(rows, sizes)
    return gathered


def own_rows(num_rows: int) -> slice:
    """Where this rank's rows lie among the gathered ones."""
    first = sum(sizes_of_all(num_rows)[: rank()])
    return slice(first, first + num_rows)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, sizes: list[int]) -> Tensor:
        ctx.sizes = sizes
        return rows_of_all(rows.detach(), sizes=sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        first = sum(ctx.sizes[: rank()])
        return total[first : first + ctx.sizes[rank()]], None
