"""Images to choose a parameter on: those of a validation split, or a share of the training images that is held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from sslkit import draws
from sslkit.datasets.subset import share
from sslkit.errors import DataError
from sslkit.evaluations.features import Features, Labels, MultiLabels
from sslkit.evaluations.score_losses import can_be_learnt


class Parts(NamedTuple):
    """What is learnt from before the choice, what is chosen on, and both, for what is learnt after it."""

    learnt_from: Features
    chosen_on: Features
    together: Features


def check_validation(train: Features, validation: Features, *, test: Features, evaluation: str) -> None:
    """See whether one could choose on a validation split; features may still be of width 0.

    Raises:
        DataError: it is the split that is learnt from, or the one that is tested; or all its images are of one class.
    """
    for other, use in ((train, "learns from"), (test, "is tested on")):
        if other.split == validation.split:
            raise DataError(
                f"evaluate: {evaluation!r} can't choose on the split {validation.split!r}, which it {use}. Name another one "
                f"with 'validation', or none: then a share of the training images is held out."
            )
    if validation.labels is not None and validation.labels.ndim == 1 and len(np.unique(validation.labels)) < 2:
        raise DataError(
            f"evaluate: all images of the split {validation.split!r} are of one class, and {evaluation!r} chooses on it how to "
            f"tell classes apart. Name another one with 'validation', or none: then a share of the training images is held out."
        )


def validated(train: Features, validation: Features, *, test: Features, evaluation: str) -> Parts:
    """The parts where a validation split is named.

    Raises:
        DataError: one can't choose on it.
    """
    check_validation(train, validation, test=test, evaluation=evaluation)
    assert train.labels is not None, "both splits have been checked"
    assert validation.labels is not None, "both splits have been checked"
    together = Features(
        np.concatenate([train.h, validation.h]),
        np.concatenate([train.labels, validation.labels]),
        train.classes,
        f"{train.split} and {validation.split}",
    )
    return Parts(train, validation, together)


def rows_to_hold_out(labels: Labels | MultiLabels, fraction: float, *, seed: int) -> Int64[np.ndarray, " m"]:
    """Rows of a share of the images, sorted; none where they, or those that are left, would be of no use.

    Of images of one class each, a share of each class and at least one image, but never the only one: a class of which none is
    left could not be learnt. Of images of several classes, a share of all.
    """
    if labels.ndim == 1:
        rows = share(labels, fraction, seed=seed)
        return rows[np.isin(labels[rows], np.delete(labels, rows))]
    rows = np.sort(draws.shuffled(len(labels), seed, "validation")[: max(1, round(fraction * len(labels)))])
    useful = bool((labels[rows] == 1).any() and can_be_learnt(np.delete(labels, rows, axis=0)).any())
    return rows if useful else rows[:0]


def held_out(train: Features, rows: Int64[np.ndarray, " m"], *, evaluation: str) -> Parts:
    """The parts where these rows of the training images are held out.

    Raises:
        DataError: there are none.
    """
    if len(rows) == 0:
        raise DataError(
            f"evaluate: the split {train.split!r} has too few images for {evaluation!r} to hold some out and choose on them. "
            f"Name a split for that with 'validation'."
        )
    return Parts(train.rows(np.delete(np.arange(len(train.h)), rows)), train.rows(rows), train)
