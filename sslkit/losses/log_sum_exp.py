"""Log-sum-exp of each row of a similarity matrix, tile by tile: the matrix is never whole in memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sslkit.errors import UserError
from sslkit.losses.tiles import Exclusion, OnTile, Store, tiles

_WHOLE = 64 * 64  # pairs up to which plain torch is as fast as the tiles


def log_sum_exp(
    queries: Float[Tensor, "r d"],
    keys: Float[Tensor, "c d"],
    *,
    temperature: float,
    exclude: Exclusion | None = None,
    visit: OnTile | None = None,
) -> Float[Tensor, " r"]:
    """For each row i the log of the sum over j of exp(queries_i . keys_j / temperature); -inf if no pair of the row is left.

    Time grows with r c d, memory with (r + c) d: backward computes the tiles again instead of keeping them. Where the keys are
    the queries themselves (the same tensor), half of the symmetric matrix is computed. Every row keeps a shift of its own, so
    no temperature and no length of a row overflows. Below a few thousand pairs `dense` runs; both agree to rounding.

    Args:
        queries: one row an anchor, float32 or float64.
        keys: one row a candidate, of the same type.
        temperature: greater than 0.
        exclude: which pairs are left out, for instance `SameModulo`; by default none.
        visit: sees every tile on its way, before anything is left out; where the keys are the queries, those on and above the
            diagonal.

    Raises:
        UserError: a gradient of the gradient is asked for, which the tiles don't have; `dense` does.
    """
    with torch.autocast(queries.device.type, enabled=False):
        if len(queries) * len(keys) <= _WHOLE:
            return dense(queries, keys, temperature=temperature, exclude=exclude, visit=visit)
        found: Tensor = _Tiled.apply(queries, None if keys is queries else keys, temperature, exclude, visit)
        return found


def dense(
    queries: Float[Tensor, "r d"],
    keys: Float[Tensor, "c d"],
    *,
    temperature: float,
    exclude: Exclusion | None = None,
    visit: OnTile | None = None,
) -> Float[Tensor, " r"]:
    """The definition of `log_sum_exp`, with the whole matrix in memory."""
    logits = (queries / temperature) @ keys.T  # (r, c)
    if visit is not None:
        visit(logits.detach(), 0, 0)
    if exclude is not None:
        left_out = torch.zeros_like(logits)
        exclude(left_out, 0, 0)
        logits = logits.masked_fill(left_out == -math.inf, -math.inf)  # no gradient goes there, unlike with a sum
    return logits.logsumexp(dim=1)


class _Tiled(torch.autograd.Function):
    """`keys` is None where they are the queries; then a tile above the diagonal stands for its mirror image too."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands everything over by position
        ctx: Any, queries: Tensor, keys: Tensor | None, temperature: float, exclude: Exclusion | None, visit: OnTile | None
    ) -> Tensor:
        sums = queries.new_full((len(queries),), -math.inf)
        scratch = Store(queries)
        ctx.kept = None
        for rows, columns, tile in tiles(queries, keys, temperature, exclude, visit):
            sums[rows] = torch.logaddexp(sums[rows], _log_sum_exp(tile, scratch))
            if keys is None and rows != columns:
                sums[columns] = torch.logaddexp(sums[columns], _log_sum_exp(tile.T, scratch))
            if tile.shape == (len(queries), len(queries if keys is None else keys)):
                ctx.kept = [(rows, columns, tile)]  # a single tile is small enough
        ctx.save_for_backward(queries, keys, sums)
        ctx.temperature, ctx.exclude = temperature, exclude
        return sums

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UserError(
                "log_sum_exp: a gradient of the gradient (create_graph=True) is not available tile by tile. "
                "sslkit.losses.log_sum_exp.dense has one, and needs memory for the whole matrix."
            )
        queries, keys, sums = ctx.saved_tensors
        slope = upstream[0]
        with torch.autocast(queries.device.type, enabled=False):
            shift = sums.masked_fill(sums == -math.inf, 0)  # a row without pairs: exp(-inf - 0) = 0
            others = queries if keys is None else keys
            to_queries, to_keys = torch.zeros_like(queries), None if keys is None else torch.zeros_like(keys)
            of_rows, of_columns = Store(queries), Store(queries)
            for rows, columns, tile in ctx.kept or tiles(queries, keys, ctx.temperature, ctx.exclude, None):
                weights = torch.sub(tile, shift[rows, None], out=of_rows.like(tile)).exp_()  # softmax of the rows
                weights.mul_(slope[rows, None])
                if keys is None:  # and of their mirror images
                    weights += torch.sub(tile, shift[columns], out=of_columns.like(tile)).exp_().mul_(slope[columns])
                    if rows != columns:
                        to_queries[columns].addmm_(weights.T, queries[rows])
                elif to_keys is not None:
                    to_keys[columns].addmm_(weights.T, queries[rows])
                to_queries[rows].addmm_(weights, others[columns])
            to_queries /= ctx.temperature
            if to_keys is not None:
                to_keys /= ctx.temperature
        return to_queries, to_keys, None, None, None


def _log_sum_exp(tile: Tensor, scratch: Store) -> Tensor:
    top = tile.amax(dim=1)
    top.masked_fill_(top == -math.inf, 0)
    return torch.sub(tile, top[:, None], out=scratch.like(tile)).exp_().sum(dim=1).log_().add_(top)
