"""Exponentials: two ways to sum exp over the tiles of a matrix, and to turn the tiles into softmaxes backward."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sslkit.losses.tiles import Store

PLAIN = 40.0  # as far from 0 as `Plain` goes: exp(-40), and a billion times exp(40), are ordinary float32

Softmax = Callable[[Tensor, slice, slice], Tensor]


class Plain:
    """All similarities / temperature lie near 0: their exp is summed as it is, and serves rows and columns."""

    nothing = 0.0

    def __init__(self, like: Tensor) -> None:
        self._store = Store(like)

    def prepare(self, tile: Tensor) -> None:
        """What a tile needs once, in place, before `add` or the softmax."""
        tile.exp_()

    def add(self, sums: Tensor, tile: Tensor) -> None:
        """Take the rows of a tile into their sums."""
        sums += tile.sum(dim=1)

    def log(self, sums: Tensor) -> Tensor:
        """The log-sum-exp that the sums stand for."""
        return sums.log_()

    def softmax(self, log_sums: Tensor, slope: Tensor, *, mirrored: bool) -> Softmax:
        """Tile -> slope x softmax of its rows, and of its columns too if it is `mirrored`; the tile is used up."""
        factor = slope * torch.exp(-log_sums)

        def weights(tile: Tensor, rows: slice, columns: slice) -> Tensor:
            if not mirrored:
                return tile.mul_(factor[rows, None])
            return tile.mul_(torch.add(factor[rows, None], factor[columns], out=self._store.like(tile)))

        return weights


class Shifted:
    """Similarities / temperature may be large: each row and column is shifted by its largest before exp."""

    nothing = -math.inf

    def __init__(self, like: Tensor) -> None:
        self._store = Store(like)

    def prepare(self, tile: Tensor) -> None:
        """Nothing: every use has a shift of its own."""

    def add(self, sums: Tensor, tile: Tensor) -> None:
        """Take the rows of a tile into their sums, which are kept as logarithms."""
        top = tile.amax(dim=1)
        top.masked_fill_(top == -math.inf, 0)
        shifted = torch.sub(tile, top[:, None], out=self._store.like(tile))
        torch.logaddexp(sums, shifted.exp_().sum(dim=1).log_().add_(top), out=sums)

    def log(self, sums: Tensor) -> Tensor:
        """The log-sum-exp that the sums stand for."""
        return sums

    def softmax(self, log_sums: Tensor, slope: Tensor, *, mirrored: bool) -> Softmax:
        """Tile -> slope x softmax of its rows, and of its columns too if it is `mirrored`; the tile is used up."""

        def weights(tile: Tensor, rows: slice, columns: slice) -> Tensor:
            of_rows = torch.sub(tile, log_sums[rows, None], out=self._store.like(tile)).exp_().mul_(slope[rows, None])
            return of_rows.add_(tile.sub_(log_sums[columns]).exp_().mul_(slope[columns])) if mirrored else of_rows

        return weights
