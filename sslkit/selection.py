"""Selection: the images whose labels are learnt, those on which settings are chosen, and those of the last training."""

from __future__ import annotations

from typing import Any

import numpy as np

from sslkit import signatures
from sslkit.datasets.joined import Joined
from sslkit.datasets.subset import Subset, balanced, share
from sslkit.embedding import Pair, Split
from sslkit.errors import DataError
from sslkit.evaluations.held_out import rows_to_hold_out

CHOOSES = ("validation", "selection", "final")  # what an evaluation declares that uses a validation split


def labelled_rows(train: Split, *, labels_per_class: int | None, labels_fraction: float | None, seed: int) -> np.ndarray | None:
    """The rows of a split that a number of labels a class, or a share of its labels, leaves; None for all."""
    if labels_per_class is None and labels_fraction is None:
        return None
    if labels_per_class is not None and labels_fraction is not None:
        raise DataError("labels_per_class and labels_fraction: give one of them.")
    labels = train.images.labels
    if labels is None or labels.ndim > 1:
        raise DataError(f"labels_per_class, labels_fraction: the images of {train.name!r} have not one label each.")
    if labels_fraction is not None:
        return share(labels, labels_fraction, seed=seed)
    assert labels_per_class is not None
    return balanced(labels, labels_per_class, seed=seed, split=train.name, classes=train.images.classes)


def for_selection(train: Split, validation: Split | None, *, fraction: float = 0.1) -> Pair:
    """Training and validation images; without a validation split a fraction of each class of the training images validates.

    A class of one image keeps it in training. Of images that may be of several classes that fraction of all validates.
    """
    if validation is not None:
        return Pair(train, validation)
    if train.images.labels is None:
        raise DataError(f"the images of {train.name!r} have no labels, and settings are chosen by them.")
    held_out = rows_to_hold_out(train.images.labels, fraction, seed=train.seed)
    rest = np.setdiff1d(np.arange(len(train.images)), held_out)
    if len(held_out) == 0:
        raise DataError(f"the split {train.name!r} has too few images for validation; name a split with `validation`.")
    return Pair(train.of(Subset(train.images, rest)), train.of(Subset(train.images, held_out)))


def held_out_by(evaluation: Any) -> dict[str, float]:
    """The fraction of the training images that an evaluation wants held out, if it says so."""
    fraction = getattr(evaluation, "validation_fraction", None)
    return {} if fraction is None else {"fraction": fraction}


def num_validation(evaluation: Any, train: Split, validation: Split | None) -> int | None:
    """On how many images an evaluation chooses settings; None if it chooses none, or does not say on how many."""
    called = signatures.written(type(evaluation), "__call__")
    assert called is not None
    declared = signatures.declared(called, dict.fromkeys(CHOOSES))
    if validation is not None:
        return len(validation.images) if declared else None
    held_out = held_out_by(evaluation)
    return len(for_selection(train, None, **held_out).test.images) if held_out or "selection" in declared else None


def for_last_training(train: Split, validation: Split | None, test: Split) -> Pair:
    """All labelled images that are no test images, and the test images."""
    return Pair(train if validation is None else train.of(Joined(train.images, validation.images)), test)
