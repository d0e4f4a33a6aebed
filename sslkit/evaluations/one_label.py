"""Images of one class each, as logistic regression sees them: what it minimises, what is counted."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float64

from sslkit.datasets.images import Metric
from sslkit.evaluations.accuracy import Found, accuracies, guesses, mean_per_class, top1
from sslkit.evaluations.features import Features, Labels, labelled_features
from sslkit.evaluations.score_losses import SoftmaxLoss


class OneLabel:
    """Softmax regression, and the share of the images whose own class is scored best.

    Args:
        train: the split to learn from.
        others: the splits that are scored.
        metric: what a validation split is measured by: "top1" or "mean_per_class".

    Raises:
        DataError: labels are missing, classes differ, features are not finite, or all images of `train` are of one class.
    """

    def __init__(self, train: Features, *others: Features, metric: Metric = "top1") -> None:
        self.metric = metric
        pairs = [labelled_features(train, other, "logistic") for other in others]
        self.num_classes = max(pair.num_classes for pair in pairs)

    def loss(self, features: Features, device: torch.device) -> SoftmaxLoss:
        """What is minimised."""
        return SoftmaxLoss(_labels(features), num_classes=self.num_classes, device=device)

    def measure(self, scores: Float64[np.ndarray, "n c"], features: Features) -> float:
        """The metric."""
        labels = _labels(features)
        found = guesses(scores, labels)
        return mean_per_class(found, labels) if self.metric == "mean_per_class" else top1(found)

    def found(self, scores: Float64[np.ndarray, "n c"], features: Features) -> Found:
        """All that is counted of a test split."""
        labels = _labels(features)
        return accuracies(guesses(scores, labels), labels, prefix="logistic", num_classes=self.num_classes)


def _labels(features: Features) -> Labels:
    assert features.labels is not None, "they have been checked"
    return features.labels
