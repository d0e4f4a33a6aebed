"""Images of several classes, as logistic regression sees them: what it minimises, what is counted."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.average_precision import average_precisions
from sslkit.evaluations.features import Features, MultiLabels, require_finite, require_same_classes
from sslkit.evaluations.multi_labels import require_several
from sslkit.evaluations.score_losses import SigmoidLoss


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
        for other in others:
            require_same_classes(train, other, "logistic")
        require_several([(f"split {one.split!r}", one.labels) for one in (train, *others)], "logistic")
        for features in (train, *others):
            require_finite(features, "logistic")

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
