"""Tiles: the similarities of many rows with many others, a square of the matrix at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sslkit.losses.exclusions import Exclusion

_LARGEST = 4096  # rows; 64 MiB in float32

OnTile = Callable[[Tensor, int, int], None]  # called with a tile and the pair (row, column) of its first entry


def tiles(
    queries: Tensor,
    keys: Tensor | None = None,
    *,
    temperature: float = 1.0,
    exclude: Exclusion | None = None,
    visit: OnTile | None = None,
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Similarities / temperature, -inf where left out; a tile is valid until the next one.

    Where `keys` is None they are the queries, and only tiles on and above the diagonal are given.
    """
    others = queries if keys is None else keys
    side = tile_side(queries.device, queries.element_size())
    store = queries.new_empty(min(side, len(queries)) * min(side, len(others)))
    for rows in slices(len(queries), side):
        for columns in slices(len(others), side, start=rows.start if keys is None else 0):
            if visit is None and exclude is not None and exclude.covers(rows, columns):
                continue
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            tile = store[: shape[0] * shape[1]].view(shape)
            tile.addmm_(queries[rows], others[columns].T, beta=0, alpha=1 / temperature)
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
