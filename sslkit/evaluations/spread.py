"""Spread: how far features move in each dimension, and how evenly their directions cover the sphere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from sslkit.evaluations.blocks import Rows, blocks, dots, lengths, unit


class Moments(NamedTuple):
    """Mean and standard deviation of each dimension, over all rows and not over all but one."""

    mean: Float64[np.ndarray, " d"]
    std: Float64[np.ndarray, " d"]


def moments(parts: Iterable[Float64[np.ndarray, "_b d"]]) -> Moments:
    """Those of rows that come in parts; in one pass, measured from the first row, so that a constant has exactly none."""
    first, count = np.zeros(0), 0
    for part in parts:
        if count == 0:
            first, total, squares = part[0].copy(), np.zeros(part.shape[1]), np.zeros(part.shape[1])
        moved = part - first
        total += moved.sum(axis=0)
        squares += np.square(moved).sum(axis=0)
        count += len(part)
    shift = total / count
    return Moments(first + shift, np.sqrt(np.maximum(squares / count - np.square(shift), 0)))


def dead_dimensions(h: Float32[np.ndarray, "n d"], *, below: float) -> float:
    """The share of dimensions whose standard deviation is at most `below` times the root mean square of all features.

    The yardstick is how large features are, not how far they move: where nothing moves but by rounding, all is dead.
    """
    found = moments(blocks(h))
    size = np.sqrt(np.mean(np.square(found.mean) + np.square(found.std)))
    return float(np.mean(found.std <= below * size))


def feature_std(h: Float32[np.ndarray, "n d"]) -> float:
    """The standard deviation of `h / ||h||` in each dimension, its mean over d, times sqrt(d) (arXiv:2011.10566, fig. 2).

    1 where directions are drawn evenly from the sphere, or near it; 0 where all features point in one direction. The paper
    draws it without the factor, beside the line 1 / sqrt(d).
    """
    std = moments(unit(block) for block in blocks(h)).std
    return float(std.mean() * np.sqrt(len(std)))


def uniformity(h: Float32[np.ndarray, "n d"], rows: Rows) -> float:
    """How evenly directions cover the sphere (arXiv:2005.10242, section 4.1.2, t = 2); the lower, the more evenly.

        log  mean over pairs i < j of  exp(-2 ||u_i - u_j||^2),   u = h / ||h||

    0 where all features point in one direction, near -4 where they are drawn evenly from a sphere of many dimensions. All
    pairs of the rows count. A feature of zero length stays zero, at distance 1 from every direction.
    """
    norms = lengths(h, rows)
    one, norms = (norms > 0).astype(np.float64), np.where(norms > 0, norms, 1)
    total = 0.0
    for i, j, tile in dots(h, rows):
        cosines = tile / (norms[i, None] * norms[j])
        squared = np.maximum(one[i, None] + one[j] - 2 * cosines, 0)
        near = np.exp(-2 * squared)
        total += float(np.tril(near, -1).sum() if i == j else near.sum())
    return float(np.log(total / (len(rows) * (len(rows) - 1) / 2)))
