"""Exclusions: which pairs of rows are left out of a sum over all of them."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor


@runtime_checkable
class Exclusion(Protocol):
    """Which pairs (row, column) are left out.

    Where the columns are the rows themselves, the pair (i, j) is left out if and only if (j, i) is: a tile above the diagonal
    is asked about, and its mirror image is not.
    """

    def __call__(self, tile: Tensor, row: int, column: int) -> None:
        """Write -inf where a pair of the tile is left out; its first entry is the pair (row, column)."""

    def covers(self, rows: slice, columns: slice) -> bool:
        """Whether all pairs of these rows and columns are known to be left out, so that nobody need compute them."""


class SameModulo:
    """Leaves out the pairs with i = j modulo `period`.

    With `period` the number of rows a row leaves out itself; with `period` the number of images it leaves out all views of its
    own image, where rows 0..n-1 are the first views, rows n..2n-1 the second ones, and so on.
    """

    def __init__(self, period: int) -> None:
        self.period = period

    def __call__(self, tile: Tensor, row: int, column: int) -> None:
        """Write -inf on the diagonals whose pairs are left out."""
        height, width = tile.shape
        first = (row - column) % self.period  # column - row of a pair, within the tile, is this or a multiple away
        for diagonal in range(first - (height // self.period + 1) * self.period, width, self.period):
            if diagonal > -height:
                tile.diagonal(diagonal).fill_(-math.inf)

    def covers(self, rows: slice, columns: slice) -> bool:  # noqa: ARG002 - other exclusions look at them
        """Never: of a tile only diagonals are left out."""
        return False


class SameLabel:
    """Leaves out the pairs of one class: what remains are the negatives. Rows sorted by class are fastest.

    Args:
        labels: the class of each row; columns are the rows themselves.
    """

    def __init__(self, labels: Int64[Tensor, " m"]) -> None:
        self.labels = labels

    def __call__(self, tile: Tensor, row: int, column: int) -> None:
        """Write -inf where both are of one class."""
        rows, columns = slice(row, row + tile.shape[0]), slice(column, column + tile.shape[1])
        if _overlap(self.labels[rows], self.labels[columns]):
            tile.masked_fill_(self.labels[rows, None] == self.labels[columns], -math.inf)

    def covers(self, rows: slice, columns: slice) -> bool:
        """Whether there is but one class."""
        low, high = torch.cat((self.labels[rows], self.labels[columns])).aminmax()
        return bool(low == high)


class OtherLabel:
    """Leaves out the pairs of different classes, and each row itself: what remains are the positives.

    Args:
        labels: the class of each row; columns are the rows themselves.
    """

    def __init__(self, labels: Int64[Tensor, " m"]) -> None:
        self.labels = labels
        self._itself = SameModulo(len(labels))

    def __call__(self, tile: Tensor, row: int, column: int) -> None:
        """Write -inf where the classes differ, and on the diagonal of the whole matrix."""
        rows, columns = slice(row, row + tile.shape[0]), slice(column, column + tile.shape[1])
        tile.masked_fill_(self.labels[rows, None] != self.labels[columns], -math.inf)
        self._itself(tile, row, column)

    def covers(self, rows: slice, columns: slice) -> bool:
        """Whether no class is on both sides, as far as the smallest and the largest label tell."""
        return not _overlap(self.labels[rows], self.labels[columns])


def _overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two ranges of labels have values in common."""
    return bool((a.min() <= b.max()) & (b.min() <= a.max()))


def left_out(tile: Tensor, exclude: Exclusion, row: int, column: int) -> Tensor:
    """A copy of the tile with -inf where a pair is left out; no gradient goes there."""
    mask = torch.zeros_like(tile)
    exclude(mask, row, column)
    return tile.masked_fill(mask == -math.inf, -math.inf)
