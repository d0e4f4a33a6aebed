"""Nearness: how near two features are, by the angle between them or by the distance, and in what form they are searched."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from sslkit.evaluations.blocks import blocks, slices

Metric = Literal["cosine", "euclidean"]
Compared = Literal["product", "distance"]
_NUMBERS = 2**19  # converted at a time, on the way through float64


class Cosine:
    """`s = cos(h, h_i)`, and the distance `1 - s`. A feature of zero length has s = 0 to everything."""

    compared: Compared = "product"  # of rows: what a search looks for the largest of

    def rows(self, h: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Rows of length 1; in float64 on the way, where the square of no float32 overflows or vanishes. Zero rows stay."""
        found = np.empty(h.shape, np.float32)
        for part in _few(h):
            found[part] = h[part] / _or_one(_lengths(h[part]))[:, None]
        return found

    def scores(self, h: Float32[np.ndarray, "b d"], others: Float32[np.ndarray, "b k d"]) -> Float64[np.ndarray, "b k"]:
        """Cosines in float64."""
        exact, neighbours = h.astype(np.float64), others.astype(np.float64)
        products = np.einsum("bkd,bd->bk", neighbours, exact)
        lengths = np.sqrt(np.einsum("bkd,bkd->bk", neighbours, neighbours)) * _lengths(h)[:, None]
        return products / _or_one(lengths)

    def distances(self, scores: Float64[np.ndarray, "b k"]) -> Float64[np.ndarray, "b k"]:
        """`1 - s`, between 0 and 2."""
        return np.maximum(1 - scores, 0)


class Euclidean:
    """`s = -d^2`, where d is the Euclidean distance of the features as they are.

    The search works in float32 on features less the mean of the bank, which changes no distance but saves the digits that a
    common offset would take, divided by a power of two, which changes no digit but lets no square overflow.

    Args:
        bank: all features that may be found.
        queries: all features that are looked up; they count for the power of two only.
    """

    compared: Compared = "distance"  # it looks for the smallest squared one of rows

    def __init__(self, bank: Float32[np.ndarray, "n d"], queries: Float32[np.ndarray, "m d"]) -> None:
        self._mean = sum(block.sum(axis=0) for block in blocks(bank)) / len(bank)
        largest = max(float(np.abs(block).max(initial=0)) for h in (bank, queries) for block in blocks(h))
        self._power = 2.0 ** math.frexp(2 * largest)[1]  # no difference of two numbers is larger

    def rows(self, h: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
        """Rows less the mean, within -1 and 1."""
        found = np.empty(h.shape, np.float32)
        for part in _few(h):
            found[part] = (h[part] - self._mean) / self._power
        return found

    def scores(self, h: Float32[np.ndarray, "b d"], others: Float32[np.ndarray, "b k d"]) -> Float64[np.ndarray, "b k"]:
        """`-d^2` from the differences, in float64: exactly 0 for a feature and itself."""
        differences = np.subtract(others, h[:, None], dtype=np.float64)
        return -np.einsum("bkd,bkd->bk", differences, differences)

    def distances(self, scores: Float64[np.ndarray, "b k"]) -> Float64[np.ndarray, "b k"]:
        """`d`."""
        return np.sqrt(-scores)


Nearness = Cosine | Euclidean


def nearness_by(metric: Metric, bank: Float32[np.ndarray, "n d"], queries: Float32[np.ndarray, "m d"]) -> Nearness:
    """The nearness that a metric means for these features."""
    return Cosine() if metric == "cosine" else Euclidean(bank, queries)


def _few(h: Float32[np.ndarray, "n d"]) -> Iterator[slice]:
    """All rows, so few at a time that they stay in a cache."""
    return slices(len(h), max(1, _NUMBERS // max(1, h.shape[1])))


def _lengths(h: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    exact = h.astype(np.float64)
    return np.sqrt(np.einsum("nd,nd->n", exact, exact))


def _or_one(lengths: np.ndarray) -> np.ndarray:
    """1 in place of 0, to divide by."""
    return np.where(lengths > 0, lengths, 1)
