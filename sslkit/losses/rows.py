"""Rows of projections: their precision, their directions, their products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sslkit.errors import UserError


def exact(z: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """The rows in float32, or in float64 if they come so."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def unit(z: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """Rows scaled to length 1; a row of zeros stays one, and what is not a number stays so.

    In float32 a row shorter than about 1e-22 counts as zeros, and one longer than about 1e19 too, since squares end there.
    """
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)  # (m, 1)
    nothing = length == 0
    return z * length.masked_fill(nothing, 1).reciprocal().masked_fill(nothing, 0)


def row_dot(a: Float[Tensor, "m k"], b: Float[Tensor, "m k"]) -> Float[Tensor, " m"]:
    """The product of row i with row i."""
    return (a * b).sum(dim=1)


def stacked(zs: Sequence[Float[Tensor, "n k"]]) -> Float[Tensor, "m k"]:
    """All views below each other, precise: rows 0..n-1 are the first views, rows n..2n-1 the second ones, and so on.

    Raises:
        UserError: there are fewer than two views, so that no row has a positive of its own image.
    """
    if len(zs) < 2:
        raise UserError(f"loss: compares the views of an image, and gets {len(zs)}. Set num_views = 2 or more.")
    return torch.stack([exact(z) for z in zs]).flatten(0, 1)


def with_own_image(u: Float[Tensor, "m k"], *, views: int) -> Float[Tensor, "m p"]:
    """The products of each row of `stacked` with the views - 1 other views of its image."""
    each = u.chunk(views)
    products = {(i, j): row_dot(each[i], each[j]) for i, j in combinations(range(views), 2)}
    others = [[products[min(i, j), max(i, j)] for j in range(views) if j != i] for i in range(views)]
    return torch.stack([torch.cat(column) for column in zip(*others, strict=True)], dim=1)


def rows_at(a: Float[Tensor, "m k"], at: Int64[Tensor, " r"]) -> Float[Tensor, "r k"]:
    """Row at[i] as row i. Their gradients are summed in a fixed order; those of `a[at]` are not, on more than one thread."""
    return torch.nn.functional.embedding(at, a)


def softplus(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """log(1 + exp(x)). Above a threshold torch gives x itself: exact in float64 at 40, and not at its default of 20."""
    return torch.nn.functional.softplus(x, threshold=40)


def mean_where(values: Float[Tensor, " m"], chosen: Bool[Tensor, " m"]) -> Float[Tensor, ""]:
    """The mean of the chosen values; 0 if none is."""
    return torch.where(chosen, values, 0).sum() / chosen.sum().clamp(min=1)
