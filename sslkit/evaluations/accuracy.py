"""Accuracy: how often an image's own class is scored best, or among the best, over all images and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

Found = list[tuple[str, "float | np.ndarray"]]  # what an evaluation gives: numbers, and arrays that are kept beside them


class Setting(float):
    """A number that was chosen, not measured, from a grid in equal ratios, such as an l2: several have a geometric mean."""


TOP5_ABOVE = 10  # with fewer classes five guesses say little
_CONFUSION_UP_TO = 1000  # classes: eight megabytes


class Guesses(NamedTuple):
    """What a classifier made of n images.

    Args:
        ranks: how many classes stand before the right one, so 0 where it is scored best.
        first: the class that is scored best.
    """

    ranks: Int64[np.ndarray, " n"]
    first: Int64[np.ndarray, " n"]


def unlearnt_last(scores: Float[np.ndarray, "n c"], learnt: Bool[np.ndarray, " c"]) -> Float[np.ndarray, "n c"]:
    """The scores, with those classes behind all others that had no images to learn from.

    Their score says what the others left over, not what is known of them: where two classes were learnt that answer no image,
    a third one would be scored best, and be right by that alone.
    """
    if learnt.all():
        return scores
    return np.where(learnt, scores, np.nextafter(scores.min(), -np.inf))  # for all images alike: such a class ranks none


def guesses(scores: Float[np.ndarray, "n c"], labels: Int64[np.ndarray, " n"]) -> Guesses:
    """What scores say of images with these labels; among equal scores the smaller class index stands first."""
    assert np.isfinite(scores).all(), "a NaN would pass for the best score"
    own = np.take_along_axis(scores, labels[:, None], axis=1)  # (n, 1)
    smaller_index = np.arange(scores.shape[1]) < labels[:, None]
    before = (scores > own) | ((scores == own) & smaller_index)  # (n, c)
    return Guesses(before.sum(axis=1, dtype=np.int64), scores.argmax(axis=1).astype(np.int64))


def together(parts: Sequence[Guesses]) -> Guesses:
    """The guesses of all parts of a split, in order."""
    return Guesses(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def top1(found: Guesses) -> float:
    """The share of the images whose own class is scored best."""
    return float(np.mean(found.ranks == 0))


def mean_per_class(found: Guesses, labels: Int64[np.ndarray, " n"]) -> float:
    """The mean of that share over the classes that there are images of."""
    sizes = np.bincount(labels)
    hits = np.bincount(labels[found.ranks == 0], minlength=len(sizes))
    there = sizes > 0
    return float(np.mean(hits[there] / sizes[there]))


def accuracies(found: Guesses, labels: Int64[np.ndarray, " n"], *, prefix: str, num_classes: int) -> Found:
    """Fractions of the images, and what they were counted from.

    Gives `prefix_top1`; with more than ten classes `prefix_top5`; `prefix_mean_per_class`, the mean over the classes of the
    split of the share of each that is scored best, where their sizes differ, for it is top-1 where they don't. Arrays:
    `prefix_predicted (n,)`, and up to 1000 classes `prefix_confusion (c, c)`, how many images of class i were taken for j.
    """
    tops = (1, 5) if num_classes > TOP5_ABOVE else (1,)
    pairs: Found = [(f"{prefix}_top{top}", float(np.mean(found.ranks < top))) for top in tops]
    if len(np.unique(np.unique(labels, return_counts=True)[1])) > 1:
        pairs.append((f"{prefix}_mean_per_class", mean_per_class(found, labels)))
    pairs.append((f"{prefix}_predicted", found.first))
    if num_classes <= _CONFUSION_UP_TO:
        cells = np.bincount(labels * num_classes + found.first, minlength=num_classes**2)
        pairs.append((f"{prefix}_confusion", cells.reshape(num_classes, num_classes)))
    return pairs
