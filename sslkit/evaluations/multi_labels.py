"""Labels of images that may be of several classes: whether a classifier can learn from them, and be judged by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from sslkit.errors import DataError
from sslkit.evaluations.score_losses import can_be_learnt

Named = tuple[str, Int64[np.ndarray, "_n *_c"] | None]  # what a split is called, and its labels
Several = Int64[np.ndarray, "_n _c"]


def require_several(splits: Sequence[Named], evaluation: str) -> list[Several]:
    """The labels of splits whose images may be of several classes, if they can be learnt from the first and told on the others.

    Raises:
        DataError: labels are missing, or are other than 1, 0 and -1; classes differ; no class can be learnt; or no image of one
            of the others is of any class.
    """
    found = [_several(named, splits[0], evaluation) for named in splits]
    if not can_be_learnt(found[0]).any():
        raise DataError(
            f"evaluate: the {splits[0][0]} has no class that some images are of and others are not, and {evaluation!r} needs "
            f"one."
        )
    for (split, _), labels in zip(splits[1:], found[1:], strict=True):
        if not (labels == 1).any():
            raise DataError(f"evaluate: no image of the {split} is of any class: {evaluation!r} can't rank them.")
    return found


def _several(named: Named, first: Named, evaluation: str) -> Several:
    """The labels of a split, if they can stand beside those of the first."""
    split, labels = named
    if labels is None:
        raise DataError(f"evaluate: the {split} has no labels, and {evaluation!r} needs them.")
    if len(labels) == 0:
        raise DataError(f"evaluate: the {split} has no images, and {evaluation!r} needs at least one.")
    if labels.ndim != 2 or first[1] is None or labels.shape[1] != first[1].shape[1]:
        raise DataError(f"evaluate: the {first[0]} and the {split} have different classes, and {evaluation!r} needs the same.")
    if not np.isin(labels, (-1, 0, 1)).all():
        raise DataError(
            f"evaluate: the {split} has labels from {labels.min()} to {labels.max()}; where an image may be of several "
            f"classes, {evaluation!r} needs 1, 0, or -1 for what can't be told."
        )
    return labels
