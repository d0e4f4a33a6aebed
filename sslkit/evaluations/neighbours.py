"""Neighbours: the nearest rows of a bank for each query, nearest first, an image never its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int64

from sslkit.evaluations.blocks import slices
from sslkit.evaluations.features import Features
from sslkit.evaluations.nearness import Nearness

NONE = -1  # in place of a row, where an approximate search found fewer than it was asked for
_ROWS = 1024  # queries given at a time: memory of whoever asks does not grow with their number
_NUMBERS = 2**21  # neighbours found at a time, 25 MB, while the bank passes by once
_FEATURES = 2**25  # of so many queries at most, 128 MB
_SCORED_NUMBERS = 2**22  # of features of neighbours, compared in float64 at a time
_SAMPLE = 256  # queries that recall is measured on


class Neighbours(NamedTuple):
    """The neighbours of b queries, nearest first; among equally near ones the earlier in the bank first.

    Args:
        scores: how near they are, the larger the nearer.
        rows: which rows of the bank they are, or -1 where there are no more.
    """

    scores: Float[np.ndarray, "b k"]
    rows: Int64[np.ndarray, "b k"]

    def of(self, queries: slice) -> Neighbours:
        """Those of some of the queries."""
        return Neighbours(self.scores[queries], self.rows[queries])

    def first(self, k: int) -> Neighbours:
        """The k nearest."""
        return Neighbours(self.scores[:, :k], self.rows[:, :k])


Search = Callable[[Float32[np.ndarray, "b d"], int], Neighbours]  # looks up k rows for features as the encoder gave them


def nearest(search: Search, bank: Features, queries: Features, k: int) -> Iterator[tuple[slice, Neighbours]]:
    """The k nearest rows of the bank that are not the query's own image, for some queries after another.

    Where bank and queries are of the same split, a row with the index of the query is that image itself: so many more are
    looked up as rows of the bank may be one image, and the own ones dropped (leave one out).
    """
    own = copies(bank, queries)
    size = max(1, min(_NUMBERS // (k + own), _FEATURES // max(1, queries.h.shape[1])))
    for part in slices(len(queries.h), size):
        found = search(np.asarray(queries.h[part]), k + own)
        if own:
            found = _without(found, bank.indices, queries.indices[part], k)
        for few in slices(part.stop - part.start, _ROWS):
            yield slice(part.start + few.start, part.start + few.stop), found.of(few)


def copies(bank: Features, queries: Features) -> int:
    """How many rows of the bank may be the query's own image: 0 for other splits, 1 unless the bank repeats images."""
    if bank.split != queries.split:
        return 0
    images, counts = np.unique(bank.indices, return_counts=True)
    return int(counts[np.isin(images, queries.indices)].max(initial=0))


def in_order(found: Neighbours) -> Neighbours:
    """Nearest first, and the earlier in the bank first among equals."""
    order = np.lexsort((found.rows, -found.scores), axis=1)
    return Neighbours(np.take_along_axis(found.scores, order, axis=1), np.take_along_axis(found.rows, order, axis=1))


def scored(found: Neighbours, bank: Features, queries: Float32[np.ndarray, "b d"], nearness: Nearness) -> Neighbours:
    """The same neighbours with scores in float64, and in the order of these."""
    scores = np.empty(found.rows.shape, np.float64)
    size = max(1, _SCORED_NUMBERS // max(1, found.rows.shape[1] * queries.shape[1]))
    for part in slices(len(queries), size):
        scores[part] = nearness.scores(queries[part], bank.h[found.rows[part]])
    return in_order(Neighbours(np.where(found.rows == NONE, -np.inf, scores), found.rows))


def recall(search: Search, exact: Search, bank: Features, queries: Features, k: int) -> float:
    """The share of the k nearest rows that a search finds, over 256 queries evenly taken."""
    sample = queries.rows(np.unique(np.linspace(0, len(queries.h) - 1, _SAMPLE).astype(np.int64)))
    found, right = (
        np.concatenate([neighbours.rows for _, neighbours in nearest(one, bank, sample, k)]) for one in (search, exact)
    )
    return float(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(found, right, strict=True)]))


def _without(found: Neighbours, bank: Int64[np.ndarray, " n"], own: Int64[np.ndarray, " b"], k: int) -> Neighbours:
    """The first k that are not of the query's own image; empty places are last, whatever is taken for their row."""
    dropped = bank[found.rows] == own[:, None]
    order = np.argsort(dropped, axis=1, kind="stable")[:, :k]
    return Neighbours(np.take_along_axis(found.scores, order, axis=1), np.take_along_axis(found.rows, order, axis=1))
