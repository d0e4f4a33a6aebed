"""What evaluations look at: the features of a split, or its images, with the labels that belong to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from sslkit.draws import Draws
from sslkit.errors import DataError, listed
from sslkit.evaluations.blocks import blocks

Labels = Int64[np.ndarray, " n"]
_FOR_SEVERAL = ("finetune", "finetune_grid", "linear", "linear_cached", "logistic")

MultiLabels = Int64[np.ndarray, "n c"]  # 1 where the class is in the image, 0 where it is not, -1 where that can't be told


@dataclass(frozen=True)
class Features:
    """The representations of a split, one row an image, as the frozen encoder gave them.

    Args:
        h: `(n, d)`, neither centred nor normalised; perhaps a memory map of a file.
        labels: class indices `(n,)`; where an image may be of several classes `(n, c)`: 1 where it is of one, 0 where it is
            not, -1 where that can't be told; or None where the split has none.
        classes: the name of each class, or None where the dataset names none.
        split: the split's name, for messages.
        indices: the number of each image in its split `(n,)`; by default they are all of it, in order.

    Raises:
        DataError: labels or indices are not one a row.
    """

    h: Float32[np.ndarray, "n d"]
    labels: Labels | MultiLabels | None
    classes: tuple[str, ...] | None
    split: str
    indices: Int64[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        if len(self.indices) == 0:
            object.__setattr__(self, "indices", np.arange(len(self.h), dtype=np.int64))
        for what, each in (("labels", self.labels), ("indices", self.indices)):
            if each is not None and len(each) != len(self.h):
                raise DataError(
                    f"features of the split {self.split!r}: {len(each)} {what} for {len(self.h)} rows; there must be one a row."
                )

    def rows(self, rows: Int64[np.ndarray, " m"]) -> Features:
        """Some of them."""
        labels = None if self.labels is None else self.labels[rows]
        return Features(self.h[rows], labels, self.classes, self.split, self.indices[rows])


@runtime_checkable
class EvaluationImages(Protocol):
    """The images of the two splits, for an evaluation that runs the encoder itself; the framework supplies it.

    Batches are float32 `(n, c, h, w)` as the network takes them: in [0, 1], unless the evaluation view ends with an operation
    such as `normalize`.
    """

    @property
    def train_labels(self) -> Labels | MultiLabels | None:
        """The labels of the training split, or None where it has none."""

    @property
    def test_labels(self) -> Labels | MultiLabels | None:
        """The labels of the test split, in the order of `test_batches`, or None where it has none."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The name of each class, or None where the dataset names none."""

    @property
    def before_last(self) -> EvaluationImages:
        """The same images without such an operation at the end: in [0, 1], whatever the view."""

    def last(self, images: Float32[np.ndarray, "n h w c"], at: Draws) -> Float32[np.ndarray, "n h w c"]:
        """What such an operation makes of images of `before_last`; the images as they are where there is none.

        `at` gives its draws, should it be random.
        """

    @property
    def size(self) -> int:
        """Height and width of the images, in pixels."""

    def train_batches(self, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images, cropped and flipped at random, with their labels, `(n,)` or `(n, c)`; all of the split once, the tail too.

        Order and crops are a pure function of the run's seed and the epoch.
        """

    def train_views(self, epoch: int, batch_size: int) -> Iterator[Tensor]:
        """The images of `train_batches` alone, for an evaluation that needs no labels."""

    def test_batches(self, batch_size: int) -> Iterator[Tensor]:
        """Images as they are seen in evaluation, in the split's order."""

    def test_pairs(self, rows: Int64[np.ndarray, " k"], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Two views of some test images, in this order, each cropped and flipped at random like training images.

        A pure function of the run's seed and the rows.
        """

    def train_image(self, row: int) -> UInt8[np.ndarray, "h w c"]:
        """The original of a row of the training features, at its own size; c is 1 or 3."""

    def test_image(self, row: int) -> UInt8[np.ndarray, "h w c"]:
        """The original of a row of the test features."""


class LabelledPair(NamedTuple):
    """The labels of both splits, and how many classes they are drawn from."""

    train: Int64[np.ndarray, " n"]
    test: Int64[np.ndarray, " m"]
    num_classes: int


def require_labels(features: Features, evaluation: str) -> Labels:
    """The labels of a split.

    Raises:
        DataError: the split has none, or one of them is negative; the message names the split and the evaluation.
    """
    return _require(features.labels, f"split {features.split!r}", evaluation)


def require_finite(features: Features, evaluation: str) -> None:
    """Raise DataError, with the number of rows that are wrong, if a split's features hold a NaN or an infinity."""
    num_wrong = sum(int(np.count_nonzero(~np.isfinite(block).all(axis=1))) for block in blocks(features.h))
    if num_wrong:
        raise DataError(
            f"evaluate: {num_wrong} of the {len(features.h)} rows of features of the split {features.split!r} are not "
            f"finite, and {evaluation!r} can't use them. The encoder has diverged."
        )


def require_same_classes(train: Features, test: Features, evaluation: str) -> None:
    """Raise DataError if both splits name their classes, and not alike."""
    if train.classes is not None and test.classes is not None and train.classes != test.classes:
        raise DataError(
            f"evaluate: the splits {train.split!r} and {test.split!r} have different classes "
            f"({_difference(train, test)}), and {evaluation!r} needs the same in both."
        )


def require_one_encoder(train: Features, test: Features, evaluation: str) -> None:
    """Raise DataError if the features of two splits are of different widths."""
    if train.h.shape[1] != test.h.shape[1]:
        raise DataError(
            f"evaluate: the features of {train.split!r} have {train.h.shape[1]} columns and those of {test.split!r} "
            f"{test.h.shape[1]}; {evaluation!r} needs features of one encoder."
        )


def labelled_features(train: Features, test: Features, evaluation: str) -> LabelledPair:
    """The labels of two splits whose features are fit to be compared.

    Raises:
        DataError: a split is empty, has no labels, or features that are not finite; the splits' classes or widths differ; or
            all training images are of one class, which any image is then found to be of.
    """
    require_one_encoder(train, test, evaluation)
    pair = require_labels(train, evaluation), require_labels(test, evaluation)
    require_same_classes(train, test, evaluation)
    for features in (train, test):
        require_finite(features, evaluation)
    return _pair(*pair, train.classes or test.classes, evaluation, split=f"split {train.split!r}")


def labelled_images(images: EvaluationImages, evaluation: str) -> LabelledPair:
    """The labels of the two splits of `images`.

    Raises:
        DataError: a split is empty or has no labels, or all training images are of one class.
    """
    train = _require(images.train_labels, "training split", evaluation)
    test = _require(images.test_labels, "test split", evaluation)
    return _pair(train, test, images.classes, evaluation, split="training split")


def _require(labels: Labels | MultiLabels | None, split: str, evaluation: str) -> Labels:
    if labels is None:
        raise DataError(
            f"evaluate: the {split} has no labels, and {evaluation!r} needs them. Choose splits that have labels with "
            f"'train' and 'test' of this evaluation, or remove it from the recipe."
        )
    if labels.ndim > 1:
        raise DataError(
            f"evaluate: an image of the {split} may be of several classes, and {evaluation!r} takes one each. "
            f"Evaluations for several: {listed(_FOR_SEVERAL)}."
        )
    if len(labels) == 0:
        raise DataError(f"evaluate: the {split} has no images, and {evaluation!r} needs at least one.")
    if labels.min() < 0:
        raise DataError(
            f"evaluate: the {split} has {np.count_nonzero(labels < 0)} images without a label (label {labels.min()}), "
            f"and {evaluation!r} needs one for each. Choose a split of labelled images."
        )
    return labels


def _pair(
    train: Int64[np.ndarray, " n"],
    test: Int64[np.ndarray, " m"],
    classes: Sequence[str] | None,
    evaluation: str,
    *,
    split: str,
) -> LabelledPair:
    """A class that only the test split has counts as a class; nothing can learn it, so its images are errors."""
    if (train == train[0]).all():
        raise DataError(f"evaluate: all images of the {split} are of one class, and {evaluation!r} needs two or more.")
    highest = int(max(train.max(), test.max()))
    if classes is not None and highest >= len(classes):
        raise DataError(
            f"evaluate: there is a label {highest}, but only {len(classes)} classes ({_shown(classes)}), which "
            f"{evaluation!r} numbers from 0."
        )
    return LabelledPair(train, test, highest + 1 if classes is None else len(classes))


def _difference(train: Features, test: Features) -> str:
    """What one split has and the other has not; both lists where only the order is another."""
    ours, theirs = train.classes or (), test.classes or ()
    sides = ((train.split, ours, set(theirs)), (test.split, theirs, set(ours)))
    own = [(split, [name for name in classes if name not in others]) for split, classes, others in sides]
    said = [f"only {split!r} has {_shown(classes)}" for split, classes in own if classes]
    return " and ".join(said) or f"in another order: {_shown(ours)} and {_shown(theirs)}"


def _shown(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (f", ... {len(classes)} in all" if len(classes) > 5 else "")
