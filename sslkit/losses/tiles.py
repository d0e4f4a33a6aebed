"""Tiles: the similarities of many rows with many others, a square of the matrix at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

_LARGEST = 4096  # rows; 64 MiB in float32

OnTile = Callable[[Tensor, int, int], None]  # called with a tile and the pair (row, column) of its first entry


@runtime_checkable
class Exclusion(Protocol):
    """Which pairs (row, column) are left out."""

    def __call__(self, tile: Tensor, row: int, column: int) -> None:
        """Write -inf where a pair of the tile is left out; its first entry is the pair (row, column)."""

    def covers(self, rows: slice, columns: slice) -> bool:
        """Whether all pairs of these rows and columns are left out, so that nobody need compute them."""


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

    def covers(self, rows: slice, columns: slice) -> bool:
        """Whether it is a single pair, and left out."""
        return rows.stop - rows.start == columns.stop - columns.start == 1 and (rows.start - columns.start) % self.period == 0


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


def tiles(
    queries: Tensor, keys: Tensor | None, temperature: float, exclude: Exclusion | None, visit: OnTile | None
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Similarities / temperature, -inf where left out; a tile is valid until the next one.

    Where `keys` is None they are the queries, and only tiles on and above the diagonal are given.
    """
    others = queries if keys is None else keys
    side = tile_side(queries.device, queries.element_size())
    store = queries.new_empty(min(side, len(queries)) * min(side, len(others)))
    for rows in slices(len(queries), side):
        scaled = queries[rows] / temperature
        for columns in slices(len(others), side, start=rows.start if keys is None else 0):
            if visit is None and exclude is not None and exclude.covers(rows, columns):
                continue
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            tile = torch.mm(scaled, others[columns].T, out=store[: shape[0] * shape[1]].view(shape))
            if visit is not None:
                visit(tile, rows.start, columns.start)
            if exclude is not None:
                exclude(tile, rows.start, columns.start)
            yield rows, columns, tile


def slices(stop: int, side: int, *, start: int = 0) -> Iterator[slice]:
    """Pieces of at most `side` rows."""
    return (slice(first, min(first + side, stop)) for first in range(start, stop, side))


def tile_side(device: torch.device, bytes_each: int) -> int:
    """Rows of a square tile, a power of two: on a CPU it fits into the second-level caches of the threads in use."""
    if device.type != "cpu":
        return _LARGEST
    pairs = _second_level_cache() * torch.get_num_threads() / bytes_each
    return min(_LARGEST, max(256, 2 ** int(math.log2(pairs) / 2)))


@cache
def _second_level_cache() -> int:
    """Bytes a core, as Linux tells; elsewhere half a MiB."""
    said = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
    try:
        return int(said.read_text().strip().removesuffix("K")) * 2**10
    except (OSError, ValueError):
        return 2**19


class Store:
    """Memory for one tile, used again and again: touching fresh memory costs more than the arithmetic."""

    def __init__(self, like: Tensor) -> None:
        self._new = like.new_empty
        self._memory = like.new_empty(0)

    def like(self, tile: Tensor) -> Tensor:
        """An unwritten tensor of the tile's shape and layout; the one given before is lost."""
        if self._memory.numel() < tile.numel():
            self._memory = self._new(tile.numel())
        return self._memory[: tile.numel()].view(tile.shape) if tile.is_contiguous() else self.like(tile.T).T
