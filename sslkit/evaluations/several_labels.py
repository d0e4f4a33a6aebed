"""Images of several classes, as logistic regression sees them: what it minimises, what is counted."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from sslkit.errors import DataError
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.average_precision import average_precisions
from sslkit.evaluations.features import Features, MultiLabels, require_finite
from sslkit.evaluations.score_losses import SigmoidLoss, can_be_learnt


class SeveralLabels:
    """A logistic regression for each class, and the mean of their average precisions.

    The mean is over the classes of which there are images in the split. A class that can't be learnt, because all images of
    `train` are of it, or none is, scores all images alike.

    Args:
        train: the split to learn from.
        others: the splits that are scored.

    Raises:
        DataError: labels are missing, or are other than 1, 0 and -1; classes differ; features are not finite; no class can be
            learnt; or no image of one of the other splits is of any class.
    """

    metric = "map"

    def __init__(self, train: Features, *others: Features) -> None:
        for features in (train, *others):
            _require_labels(features, train)
        if not can_be_learnt(_labels(train)).any():
            raise DataError(
                f"evaluate: the split {train.split!r} has no class that some images are of and others are not, and 'logistic' "
                f"needs one."
            )
        for other in others:
            if not (_labels(other) == 1).any():
                raise DataError(f"evaluate: no image of the split {other.split!r} is of any class: 'logistic' can't rank them.")

    def loss(self, features: Features, device: torch.device) -> SigmoidLoss:
        """What is minimised."""
        return SigmoidLoss(_labels(features), device=device)

    def measure(self, scores: Float64[np.ndarray, "n c"], features: Features) -> float:
        """Mean average precision."""
        return float(np.nanmean(average_precisions(scores, _labels(features))))

    def found(self, scores: Float64[np.ndarray, "n c"], features: Features) -> Found:
        """All that is counted of a test split: the mean, and each class's, which is NaN where there are no images of it."""
        each = average_precisions(scores, _labels(features))
        return [("logistic_map", float(np.nanmean(each))), ("logistic_average_precisions", each)]


def _labels(features: Features) -> MultiLabels:
    assert features.labels is not None, "they have been checked"
    return features.labels


def _require_labels(features: Features, train: Features) -> None:
    """Raise DataError if a split can't be used beside the training split."""
    split, labels = features.split, features.labels
    assert train.labels is not None, "it has decided that there are several labels"
    if labels is None:
        raise DataError(f"evaluate: the split {split!r} has no labels, and 'logistic' needs them.")
    if len(labels) == 0:
        raise DataError(f"evaluate: the split {split!r} has no images, and 'logistic' needs at least one.")
    if labels.ndim != 2 or labels.shape[1] != train.labels.shape[1] or features.classes != train.classes:
        raise DataError(
            f"evaluate: the splits {train.split!r} and {split!r} have different classes, and 'logistic' needs the same."
        )
    if not np.isin(labels, (-1, 0, 1)).all():
        raise DataError(
            f"evaluate: the split {split!r} has labels from {labels.min()} to {labels.max()}; where an image may be of several "
            f"classes, 'logistic' needs 1, 0, or -1 for what can't be told."
        )
    require_finite(features, "logistic")
