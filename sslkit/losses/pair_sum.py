"""The sum of a function over all pairs of rows, tile by tile, with its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sslkit.errors import UserError
from sslkit.losses.tiles import slices, tile_side

OfTile = Callable[..., Tensor]


def pair_sum(function: OfTile, rows: Sequence[Tensor], columns: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Sum over tiles of `function(*rows, *columns, row, column)`; memory grows with the number of rows plus that of columns.

    The sum's gradient by its tensors is known as soon as a tile is computed, so tiles are computed once, and none is kept.

    Args:
        function: slices of the `rows`, slices of the `columns`, and the first row and column of the tile -> a scalar; plain
            torch, differentiable. A tensor that it brings along itself gets no gradient.
        rows: tensors with one row for each row of the matrix of pairs; those without a gradient may be labels or masks.
        columns: the same for its columns.

    Raises:
        UserError: a gradient of the gradient is asked for.
    """
    tensors = (*rows, *columns)
    with torch.autocast(tensors[0].device.type, enabled=False):
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            total: Tensor = _PairSum.apply(function, len(rows), *tensors)
            return total
        total = _widest(tensors).new_zeros(())
        for parts in _parts(tensors, len(rows)):
            pieces = [tensor[part] for tensor, part in zip(tensors, parts, strict=True)]
            total += function(*pieces, parts[0].start, parts[-1].start)
        return total


def _widest(tensors: Sequence[Tensor]) -> Tensor:
    """One of the type that sums and tiles have; labels and masks don't decide it."""
    return max(tensors, key=lambda tensor: (tensor.is_floating_point(), tensor.element_size()))


def _parts(tensors: Sequence[Tensor], count: int) -> Iterator[list[slice]]:
    """For each tile the part of every tensor that takes part; the first `count` tensors belong to the rows."""
    side = tile_side(tensors[0].device, _widest(tensors).element_size())
    for rows in slices(len(tensors[0]), side):
        for columns in slices(len(tensors[-1]), side):
            yield [rows if i < count else columns for i in range(len(tensors))]


class _PairSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: OfTile, count: int, *tensors: Tensor) -> Tensor:
        total = _widest(tensors).new_zeros(())
        slopes = {i: torch.zeros_like(tensor) for i, tensor in enumerate(tensors) if ctx.needs_input_grad[2 + i]}
        for parts in _parts(tensors, count):
            pieces = [tensor[part].detach() for tensor, part in zip(tensors, parts, strict=True)]
            wanted = [pieces[i].requires_grad_() for i in slopes]
            with torch.enable_grad():
                value = function(*pieces, parts[0].start, parts[-1].start)
            total += value.detach()
            if value.requires_grad:
                gradients = torch.autograd.grad(value, wanted, materialize_grads=True)
                for i, gradient in zip(slopes, gradients, strict=True):
                    slopes[i][parts[i]] += gradient
        ctx.save_for_backward(*[slopes.get(i) for i in range(len(tensors))])
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UserError(
                "pair_sum: a gradient of the gradient (create_graph=True) is not available tile by tile. Write the loss with "
                "the whole matrix of pairs in memory if it is to have one."
            )
        return (None, None, *(None if slope is None else slope * upstream[0] for slope in ctx.saved_tensors))
