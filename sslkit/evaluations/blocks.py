"""Blocks: features a part at a time and in float64, so that a memory map of millions of rows stays on disk."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32, Float64, Int64

_BYTES = 1 << 26  # of a block
_ROWS = 2048  # of a block at most, so that a number for each pair of rows of two blocks fits in memory as well
_COLUMNS = 4096  # of a block of some columns

_NUMBERS = 1 << 25  # of a part

Rows = Int64[np.ndarray, " m"]


def slices(num_rows: int, size: int) -> Iterator[slice]:
    """Rows one after another, `size` at a time."""
    for first in range(0, num_rows, size):
        yield slice(first, min(first + size, num_rows))


def parts(h: Float32[np.ndarray, "n d"]) -> Iterator[slice]:
    """All rows of features, 128 MB at a time: for what is done in float32, and the better the more rows it is done to."""
    return slices(len(h), max(1, _NUMBERS // max(1, h.shape[1])))


def blocks(h: Float32[np.ndarray, "n d"], rows: Rows | None = None) -> Iterator[Float64[np.ndarray, "b d"]]:
    """Some rows of features, or all of them, in order, a few at a time; the fewer, the wider they are."""
    at_once = min(_ROWS, max(1, _BYTES // (8 * max(1, h.shape[1]))))
    for first in range(0, len(h) if rows is None else len(rows), at_once):
        part = slice(first, first + at_once)
        yield np.asarray(h[part if rows is None else rows[part]], np.float64)


def lengths(h: Float32[np.ndarray, "n d"], rows: Rows) -> Float64[np.ndarray, " m"]:
    """The lengths of some rows; in float64 the square of no float32 overflows or vanishes."""
    return np.concatenate([np.linalg.norm(block, axis=1) for block in blocks(h, rows)])


def unit(block: Float64[np.ndarray, "b d"]) -> Float64[np.ndarray, "b d"]:
    """Rows of length 1; rows of zeros stay as they are."""
    norms = np.linalg.norm(block, axis=1, keepdims=True)
    return block / np.where(norms > 0, norms, 1)


def dots(h: Float32[np.ndarray, "n d"], rows: Rows) -> Iterator[tuple[slice, slice, Float64[np.ndarray, "a b"]]]:
    """The dot product of every row with every one, tile by tile: `(i, j, dots)`, the slices i and j numbering `rows`.

    Tiles on the diagonal are whole; of two that mirror each other only the one below it comes, i after j.
    """
    parts = [slice(first, min(first + _ROWS, len(rows))) for first in range(0, len(rows), _ROWS)]
    columns = [slice(first, first + _COLUMNS) for first in range(0, h.shape[1], _COLUMNS)]
    for number, i in enumerate(parts):
        for j in parts[: number + 1]:
            tile = np.zeros((i.stop - i.start, j.stop - j.start))
            for some in columns:
                left = np.asarray(h[rows[i], some], np.float64)
                right = left if i == j else np.asarray(h[rows[j], some], np.float64)
                tile += left @ right.T
            yield i, j, tile
