"""Targets: what the labels of two splits ask of a classifier, what it minimises, and what is counted of its scores.

Images are of one class each, or may be of several; the classifiers that SGD trains go by either.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn import functional as F

from sslkit.datasets.images import Metric
from sslkit.evaluations.accuracy import Found, Guesses, accuracies, guesses, mean_per_class, together, top1, unlearnt_last
from sslkit.evaluations.average_precision import average_precisions
from sslkit.evaluations.features import (
    EvaluationImages,
    Features,
    LabelledPair,
    MultiLabels,
    labelled_features,
    labelled_images,
    require_finite,
    require_one_encoder,
    require_same_classes,
)
from sslkit.evaluations.multi_labels import require_several

Scores = Float32[np.ndarray, "b c"]


class Guessed:
    """What a classifier made of test images of one class each."""

    def __init__(self, found: Guesses, labels: LabelledPair) -> None:
        self._found, self._labels = found, labels

    def found(self, prefix: str) -> Found:
        """Accuracies, and what they were counted from."""
        return accuracies(self._found, self._labels.test, prefix=prefix, num_classes=self._labels.num_classes)

    def measured(self, metric: Metric) -> tuple[Metric, float]:
        """What settings are chosen by: the mean over the classes, or else top-1."""
        if metric == "mean_per_class":
            return metric, mean_per_class(self._found, self._labels.test)
        return "top1", top1(self._found)


class Ranked:
    """The scores that a classifier gave to test images of several classes."""

    def __init__(self, scores: Float[np.ndarray, "n c"], labels: MultiLabels) -> None:
        self._each = average_precisions(scores.astype(np.float64), labels)

    def found(self, prefix: str) -> Found:
        """Mean average precision, over the classes that there are images of, and each class's, else NaN."""
        return [(f"{prefix}_map", float(np.nanmean(self._each))), (f"{prefix}_average_precisions", self._each)]

    def measured(self, metric: Metric) -> tuple[Metric, float]:  # noqa: ARG002 - there is no other
        """What settings are chosen by: mean average precision."""
        return "map", float(np.nanmean(self._each))


class OneClassEach:
    """Softmax cross-entropy, its mean over the images. A class without images to learn from is guessed after all others."""

    def __init__(self, labels: LabelledPair) -> None:
        self._labels = labels
        self._learnt = np.isin(np.arange(labels.num_classes), labels.train)
        self.train, self.num_classes = labels.train, labels.num_classes

    def loss(self, scores: Float[Tensor, "b c"], labels: Int64[Tensor, " b"]) -> Float[Tensor, ""]:
        """What is minimised."""
        return F.cross_entropy(scores, labels)

    def judged(self, scores: Iterable[Scores]) -> Guessed:
        """What scores of the test images say, that come batch by batch, in order."""
        parts, seen = [], 0
        for some in scores:
            parts.append(guesses(unlearnt_last(some, self._learnt), self._labels.test[seen : seen + len(some)]))
            seen += len(some)
        assert seen == len(self._labels.test), f"{seen} images for {len(self._labels.test)} labels"
        return Guessed(together(parts), self._labels)


class SeveralClasses:
    """A sigmoid for each class: the sum over the classes of its cross-entropy, the mean over the images.

        mean over i of  sum over c of  -log p_ic where image i is of class c,  -log(1 - p_ic) where it is not

    with `p = 1 / (1 + exp(-score))`. What can't be told, a label of -1, adds nothing.
    """

    def __init__(self, train: Int64[np.ndarray, "n c"], test: Int64[np.ndarray, "m c"]) -> None:
        self._test = test
        self.train, self.num_classes = train, train.shape[1]

    def loss(self, scores: Float[Tensor, "b c"], labels: Int64[Tensor, "b c"]) -> Float[Tensor, ""]:
        """What is minimised."""
        told, positive = (labels >= 0).to(scores.dtype), (labels == 1).to(scores.dtype)
        return F.binary_cross_entropy_with_logits(scores, positive, told, reduction="sum") / len(labels)

    def judged(self, scores: Iterable[Scores]) -> Ranked:
        """What scores of the test images say, that come batch by batch, in order."""
        return Ranked(np.concatenate(list(scores)), self._test)


Target = OneClassEach | SeveralClasses


def of_features(train: Features, test: Features, evaluation: str) -> Target:
    """The target of two splits whose features are fit to be compared.

    Raises:
        DataError: labels are missing or of another form, classes or widths differ, or features are not finite.
    """
    if train.labels is None or train.labels.ndim == 1:
        return OneClassEach(labelled_features(train, test, evaluation))
    named = [(f"split {one.split!r}", one.labels) for one in (train, test)]
    require_one_encoder(train, test, evaluation)
    require_same_classes(train, test, evaluation)
    target = SeveralClasses(*require_several(named, evaluation))
    for features in (train, test):
        require_finite(features, evaluation)
    return target


def of_images(images: EvaluationImages, evaluation: str) -> Target:
    """The target of the two splits of `images`; DataError where labels are missing or of another form."""
    if images.train_labels is None or images.train_labels.ndim == 1:
        return OneClassEach(labelled_images(images, evaluation))
    named = [("training split", images.train_labels), ("test split", images.test_labels)]
    return SeveralClasses(*require_several(named, evaluation))
