"""Log-sum-exp of each row of a similarity matrix, tile by tile: the matrix is never whole in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sslkit.errors import UserError
from sslkit.losses.exclusions import Exclusion, left_out
from sslkit.losses.exponentials import PLAIN, Plain, Shifted
from sslkit.losses.rows import exact
from sslkit.losses.tiles import OnTile, tiles

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
    the queries themselves (the same tensor), half of the symmetric matrix is computed. Where similarities may be large, every
    row keeps a shift of its own, so no temperature and no length of a row overflows. Up to a few thousand pairs `dense` runs;
    both agree to rounding.

    Args:
        queries: one row an anchor; what is shorter than float32 is computed in float32.
        keys: one row a candidate, of the same type.
        temperature: a number greater than 0; to learn one, divide the queries by it.
        exclude: which pairs are left out, for instance `SameModulo`; by default none.
        visit: sees every tile on its way, before anything is left out; where the keys are the queries, those on and above the
            diagonal.

    Raises:
        UserError: a gradient of the gradient is asked for, which the tiles don't have; `dense` does. Or the temperature is not
            above 0, or is a tensor, which would get no gradient.
    """
    if isinstance(temperature, Tensor):
        raise UserError("log_sum_exp: temperature is a tensor, which would get no gradient. Divide the queries by it instead.")
    if not temperature > 0:  # nan too
        raise UserError(f"log_sum_exp: temperature must be above 0, is {temperature:g}.")
    if len(queries) * len(keys) <= _WHOLE:
        return dense(queries, keys, temperature=temperature, exclude=exclude, visit=visit)
    with torch.autocast(queries.device.type, enabled=False):
        found: Tensor = _Tiled.apply(exact(queries), None if keys is queries else exact(keys), temperature, exclude, visit)
        return found


def dense(
    queries: Float[Tensor, "r d"],
    keys: Float[Tensor, "c d"],
    *,
    temperature: float,
    exclude: Exclusion | None = None,
    visit: OnTile | None = None,
) -> Float[Tensor, " r"]:
    """The definition of `log_sum_exp`, with the whole matrix in memory; in float32 too, or float64, even under autocast."""
    with torch.autocast(queries.device.type, enabled=False):
        q = exact(queries)
        k = q if keys is queries else exact(keys)
        logits = (q / temperature) @ k.T  # (r, c)
        if visit is not None:
            visit(logits.detach(), 0, 0)
        if exclude is not None:
            logits = left_out(logits, exclude, 0, 0)
        return logits.logsumexp(dim=1)


class _Tiled(torch.autograd.Function):
    """`keys` is None where they are the queries; then a tile above the diagonal stands for its mirror image too."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands everything over by position
        ctx: Any, queries: Tensor, keys: Tensor | None, temperature: float, exclude: Exclusion | None, visit: OnTile | None
    ) -> Tensor:
        others = queries if keys is None else keys
        way: Plain | Shifted = (Plain if _reach(queries, keys) <= PLAIN * temperature else Shifted)(queries)
        sums = torch.full_like(queries[:, 0], way.nothing)
        ctx.kept = []
        for rows, columns, tile in tiles(queries, keys, temperature=temperature, exclude=exclude, visit=visit):
            way.prepare(tile)
            way.add(sums[rows], tile)
            if keys is None and rows != columns:
                way.add(sums[columns], tile.T)
            if tile.shape == (len(queries), len(others)):
                ctx.kept = [(rows, columns, tile)]  # a single tile is small enough
        sums = way.log(sums)
        ctx.save_for_backward(queries, keys, sums)
        ctx.temperature, ctx.exclude, ctx.way = temperature, exclude, way
        return sums

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise UserError(
                f"log_sum_exp: a gradient of the gradient (create_graph=True) is not available tile by tile, as more than "
                f"{_WHOLE:,} pairs are taken. Give the loss fewer images, or write one with sslkit.losses.log_sum_exp.dense, "
                f"which has such a gradient and needs memory for the whole matrix."
            )
        queries, keys, sums = ctx.saved_tensors
        with torch.autocast(queries.device.type, enabled=False):
            others = queries if keys is None else keys
            of_queries, of_keys = ctx.needs_input_grad[:2]
            to_queries, to_keys = torch.zeros_like(queries) if of_queries else None, torch.zeros_like(keys) if of_keys else None
            to_others = to_queries if keys is None else to_keys
            slope = upstream[0] / ctx.temperature
            soft = ctx.way.softmax(sums.masked_fill(sums == -math.inf, 0), slope, mirrored=keys is None)
            kept, ctx.kept = ctx.kept, []  # used up: its memory becomes that of the weights
            for rows, columns, tile in kept or _prepared(ctx, queries, keys):
                weights = soft(tile, rows, columns)
                if to_queries is not None:
                    to_queries[rows].addmm_(weights, others[columns])
                if to_others is not None and (keys is not None or rows != columns):
                    to_others[columns].addmm_(weights.T, queries[rows])
        return to_queries, to_keys, None, None, None


def _reach(queries: Tensor, keys: Tensor | None) -> float:
    """No product of a query and a key is further from 0."""
    longest = [torch.linalg.vector_norm(z, dim=1).max() for z in (queries, keys) if z is not None and len(z) > 0]
    return (longest[0] * longest[-1]).item() if longest else 0.0


def _prepared(ctx: Any, queries: Tensor, keys: Tensor | None) -> Iterator[tuple[slice, slice, Tensor]]:
    for rows, columns, tile in tiles(queries, keys, temperature=ctx.temperature, exclude=ctx.exclude):
        ctx.way.prepare(tile)
        yield rows, columns, tile
