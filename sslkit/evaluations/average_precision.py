"""Average precision: how far the images of a class stand before the others, where all are sorted by its scores."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

_LEVELS = 11  # recalls 0, 0.1, ..., 1


def average_precision(scores: Float64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"]) -> float:
    """The 11-point average precision of PASCAL VOC 2007 (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, section 4.2).

        mean over r = 0, 0.1, ..., 1 of  the highest precision at a threshold whose recall is r or more

    Images whose scores are equal pass a threshold together, so their order does not matter; the development kit of VOC takes
    them in the order of its files. Recalls are compared in whole numbers, so that a recall of 3 in 10 is not below 0.3.

    Args:
        scores: higher for images that are more likely of the class.
        labels: 1 where the image is of the class, 0 where it is not, -1 where that can't be told; those are left out.

    Returns:
        A number in [0, 1], or NaN where no image is of the class.
    """
    assert np.isfinite(scores).all(), "a NaN would pass for the highest score"
    told = labels >= 0
    order = np.argsort(-scores[told], kind="stable")
    scores, hits = scores[told][order], np.cumsum(labels[told][order])
    if len(hits) == 0 or hits[-1] == 0:
        return float("nan")
    last_of_equals = np.append(scores[1:] != scores[:-1], True)
    passed = np.arange(1, len(hits) + 1)[last_of_equals]
    hits = hits[last_of_equals]
    highest = np.maximum.accumulate((hits / passed)[::-1])[::-1]  # precision at a recall at least as high
    reached = np.searchsorted((_LEVELS - 1) * hits, np.arange(_LEVELS) * hits[-1])  # the first threshold with such a recall
    return float(highest[reached].mean())


def average_precisions(scores: Float64[np.ndarray, "n c"], labels: Int64[np.ndarray, "n c"]) -> Float64[np.ndarray, " c"]:
    """That of each class; NaN where no image is of it."""
    return np.array([average_precision(*column) for column in zip(scores.T, labels.T, strict=True)])
