"""Spectrum: in how many directions features extend, from their singular values."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from sslkit.evaluations.blocks import Rows, blocks, dots

EPSILON = 1e-7  # RankMe's, for features in float32


def singular_values(h: Float32[np.ndarray, "n d"], rows: Rows) -> Float64[np.ndarray, " k"]:
    """The singular values of some rows of features, neither centred nor normalised, largest first; k = min(m, d).

    They are the square roots of the eigenvalues of `h^T h` or `h h^T`, whichever is smaller, summed in float64. Of these, what
    lies below 1e-8 of the largest is rounding; that of features in float32 is larger.
    """
    smaller = _columns(h, rows) if h.shape[1] <= len(rows) else _rows(h, rows)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(smaller)[::-1], 0))


def rankme(values: Float64[np.ndarray, " k"]) -> float:
    """The effective rank: the exponential of the entropy of the singular values (arXiv:2210.02885, eq. 1).

        p_k = s_k / sum(s) + 1e-7,   RankMe = exp(- sum_k p_k log p_k)

    1 where all features lie on one line, k where they extend equally far in k directions. Where all of them are zero it is 0,
    on which the paper says nothing.
    """
    total = float(values.sum())
    if total == 0:
        return 0.0
    p = values / total + EPSILON
    return float(np.exp(-np.sum(p * np.log(p))))


def _columns(h: Float32[np.ndarray, "n d"], rows: Rows) -> Float64[np.ndarray, "d d"]:
    products = np.zeros((h.shape[1], h.shape[1]))
    for block in blocks(h, rows):
        products += block.T @ block
    return products


def _rows(h: Float32[np.ndarray, "n d"], rows: Rows) -> Float64[np.ndarray, "m m"]:
    """Below the diagonal, where eigenvalues are taken from."""
    products = np.zeros((len(rows), len(rows)))
    for i, j, tile in dots(h, rows):
        products[i, j] = tile
    return products
