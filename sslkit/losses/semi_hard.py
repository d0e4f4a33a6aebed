"""Semi-hard negatives: the most similar of those that are less similar than the positive (FaceNet, arXiv:1503.03832)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sslkit.losses.exclusions import SameModulo
from sslkit.losses.rows import row_dot, rows_at
from sslkit.losses.tiles import OnTile, tiles

Mining = Literal["all", "semi_hard"]


def semi_hard(
    u1: Float[Tensor, "n k"], u2: Float[Tensor, "n k"], *, margin: float = math.inf, visit: OnTile | None = None
) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """For each row of u1 its similarity to the semi-hard negative among the rows of u2, and whether there is one.

    With positives s_p = u1_i . u2_i a negative s_n is semi-hard if s_p - margin < s_n < s_p; the largest is taken. FaceNet says
    it in squared distances D = 2 - 2 s of rows of length 1, where its margin is twice this one. The gradient flows through the
    similarity, not through the choice. Memory grows with n: the matrix of similarities is searched tile by tile.

    Args:
        u1: anchors.
        u2: row i is the positive of anchor i, all other rows are negatives.
        margin: width of the window; by default it has no lower end.
        visit: sees every tile of similarities on its way.
    """
    at = torch.zeros(len(u1), dtype=torch.int64, device=u1.device)
    with torch.no_grad():
        positive = row_dot(u1, u2)
        best = torch.full_like(positive, -math.inf)
        for rows, columns, tile in tiles(u1, u2, exclude=SameModulo(len(u1)), visit=visit):
            outside = (tile >= positive[rows, None]) | (tile <= positive[rows, None] - margin)
            top, where = tile.masked_fill_(outside, -math.inf).max(dim=1)
            at[rows] = torch.where(top > best[rows], where + columns.start, at[rows])
            best[rows] = torch.maximum(top, best[rows])
    return row_dot(u1, rows_at(u2, at)), best != -math.inf  # what is not a number is not hidden


def semi_hard_of_both(
    u1: Float[Tensor, "n k"], u2: Float[Tensor, "n k"], *, margin: float = math.inf, visit: OnTile | None = None
) -> tuple[Float[Tensor, " m"], Bool[Tensor, " m"]]:
    """`semi_hard` with the rows of u1 as anchors, then with those of u2; `visit` sees every tile of the first search."""
    first, in_first = semi_hard(u1, u2, margin=margin, visit=visit)
    second, in_second = semi_hard(u2, u1, margin=margin)
    return torch.cat((first, second)), torch.cat((in_first, in_second))
