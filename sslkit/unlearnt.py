"""Unlearnt: classes of which there is nothing to learn from, so that test images of them can't be right."""

from __future__ import annotations

import numpy as np

from sslkit.embedding import Split
from sslkit.evaluations.classes import named

_SHOWN = 5


def unlearnt_classes(train: Split, validation: Split | None, test: Split) -> str | None:
    """A sentence on the classes that have no images to learn from, if there are any; of one class an image.

    Args:
        train: what is learnt from.
        validation: what is learnt from too in the end.
        test: what is judged.
    """
    learnt_from = [train, *([] if validation is None else [validation])]
    labels = [split.images.labels for split in (*learnt_from, test)]
    told = [one for one in labels if one is not None and one.ndim == 1]
    if len(told) < len(labels):
        return None
    classes = train.images.classes or test.images.classes
    there = np.union1d(told[-1], np.arange(len(classes or ())))
    missing = np.setdiff1d(there, np.concatenate(told[:-1]))
    if len(missing) == 0:
        return None
    names = named(missing[:_SHOWN].tolist(), classes) + (", ..." if len(missing) > _SHOWN else "")
    number = int(np.isin(told[-1], missing).sum())
    judged = f"and {number} of the {len(told[-1])} images of {test.name!r} are" if number else f"nor one of {test.name!r}"
    errors = ": for what learns its classes from there they are errors" if number else ""
    return f"evaluate: no image of {' and '.join(repr(split.name) for split in learnt_from)} is of {names}, {judged}{errors}."
