"""Images to choose a parameter on: those of a validation split, or a share of the training images that is held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from sslkit.errors import DataError
from sslkit.evaluations.features import Features


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
