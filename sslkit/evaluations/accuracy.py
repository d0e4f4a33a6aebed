"""Top-1 and top-5 accuracy: the share of images whose own class is among the best scored."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

TOP5_ABOVE = 10  # with fewer classes five guesses say little


def ranks(scores: Float[np.ndarray, "n c"], labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How many classes stand before the right one, so 0 where it is scored best.

    Among equal scores the smaller class index stands first.
    """
    assert np.isfinite(scores).all(), "a NaN would pass for the best score"
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (n, 1)
    smaller_index = np.arange(scores.shape[1]) < labels[:, None]
    before = (scores > own) | ((scores == own) & smaller_index)  # (n, c)
    counted: Int64[np.ndarray, " n"] = before.sum(axis=1, dtype=np.int64)
    return counted


def accuracies(found: Int64[np.ndarray, " n"], prefix: str, *, num_classes: int) -> list[tuple[str, float]]:
    """`prefix_top1`, and with more than ten classes `prefix_top5`, as fractions of the images whose `ranks` are given."""
    tops = (1, 5) if num_classes > TOP5_ABOVE else (1,)
    return [(f"{prefix}_top{top}", float(np.mean(found < top))) for top in tops]
