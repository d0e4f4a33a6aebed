"""Classes: which an image is of, as pictures need it: perhaps several, perhaps none that is known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64

from sslkit.evaluations.features import Features


def classes_of(features: Features, row: int) -> frozenset[int]:
    """The classes of an image; none where it has no label, or a label that says so."""
    if features.labels is None:
        return frozenset()
    label = features.labels[row]
    return frozenset(np.flatnonzero(label == 1).tolist() if label.ndim else [int(label)] if label >= 0 else [])


def first_classes(features: Features) -> Int64[np.ndarray, " n"]:
    """The class of each image, the first where it is of several, and -1 where it is of none or that is not known."""
    labels = features.labels
    if labels is None:
        return np.full(len(features.h), -1, np.int64)
    if labels.ndim == 1:
        return np.maximum(labels, -1)
    there = labels == 1
    return np.where(there.any(axis=1), there.argmax(axis=1), -1).astype(np.int64)


def named(numbers: Iterable[int], classes: tuple[str, ...] | None) -> str:
    """Classes in words, `dress, hat`; a class without a name is `class 3`."""
    known = classes or ()
    return ", ".join(known[number] if number < len(known) else f"class {number}" for number in sorted(numbers))
