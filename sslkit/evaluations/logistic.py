"""Linear evaluation as in transfer learning: logistic regression on frozen features, with the best of many strengths of l2."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from annotated_types import Gt, Lt
from jaxtyping import Float64

from sslkit.datasets.images import Metric
from sslkit.evaluations.accuracy import Found, Setting
from sslkit.evaluations.bounds import Bounds, in_order
from sslkit.evaluations.features import Features
from sslkit.evaluations.held_out import Parts, held_out, rows_to_hold_out, validated
from sslkit.evaluations.l2_path import L2Path, Linear
from sslkit.evaluations.one_label import OneLabel
from sslkit.evaluations.several_labels import SeveralLabels


class LogisticProbe:
    """Logistic regression on h, regularised by the l2 that is best on a validation split.

    With n images, weights W and biases b, it minimises

        mean over the images of  -log softmax(W h + b)[label]     +  l2 / 2 * sum of W^2

    by L-BFGS, without augmentation, for 45 values of l2 in equal ratios from 1e5 down to 1e-6. The one that is best on the
    validation split, by the dataset's own metric, is taken (of equals the largest), and the classifier is trained again with
    it on training and validation images together; the test split is looked at once. This is the linear evaluation of transfer
    learning (arXiv:2002.05709, appendix B.8, which follows arXiv:1805.08974). Features are used as they are, neither centred
    nor normalised.

    Where an image may be of several classes, a logistic regression is fitted for each, whose loss is the mean over the images
    that are labelled for it; l2 is one for all of them, chosen by the mean over the classes of the 11-point average precision
    of VOC 2007, which is also what is reported.

    Where we differ from the paper: it does not say whether its loss is a mean or a sum over the images, nor whether biases are
    regularised; ours is the mean, and they are not. scikit-learn's `C` for the same classifier is `1 / (n * l2)`, and `2 / (n
    * l2)` for two classes, of which it fits only the difference. The tool that an author of the protocol published
    (google-research/linear_eval) minimises the sum plus l2 times the sum of W^2: our l2 is twice that one, divided by n.
    Divide the bounds so to search that grid; `logistic_l2_at_end` says whether ours was too narrow. The paper does not say
    either by which metric l2 is chosen.

    Gives `logistic_top1`, for more than ten classes `logistic_top5`, and `logistic_mean_per_class` where the classes of the
    test split have different sizes; or `logistic_map` for several labels an image. Beside them: `logistic_l2`, which was
    chosen; `logistic_l2_at_end`, 1 where that is the smallest or the largest of the grid, else 0; `logistic_validation_top1`,
    `logistic_validation_mean_per_class` or `logistic_validation_map`, with that l2; and `logistic_gap`, how near the last
    classifier is to the best one, as `tolerance` counts it. Arrays: `logistic_path_l2`, `logistic_path_validation`, and
    `logistic_average_precisions (c,)` for several labels. A class without images to learn from stands behind all others. The
    same features and seed give the same bits. Features are held in memory, in float64.

    Args:
        num_l2: how many values of l2 are tried; one is the upper bound.
        l2: the smallest and the largest of them.
        validation_fraction: share of each class of `train` that is held out to choose l2, by the seed, where the recipe names
            no split for `validation`.
        tolerance: how much higher than the lowest an objective may be, as a share of what W has lowered it by, and of itself.
        max_iterations: steps of L-BFGS for each l2. What is found by then is used, and `logistic_gap` is above `tolerance`.

    Raises:
        UserError: `l2` is not (low, high).
    """

    seed_holds_out: ClassVar[bool] = True
    law = "l2 chosen on validation, L-BFGS on mean loss + l2/2 W^2"

    def __init__(
        self,
        *,
        num_l2: Annotated[int, Gt(0)] = 45,
        l2: Bounds = (1e-6, 1e5),
        validation_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        tolerance: Annotated[float, Gt(0)] = 1e-5,
        max_iterations: Annotated[int, Gt(0)] = 1000,
    ) -> None:
        low, high = in_order("l2", l2)
        self.l2s = np.geomspace(high, low, num_l2)
        self.validation_fraction = validation_fraction
        self.tolerance = tolerance
        self.max_iterations = max_iterations

    def settings(self, num_images: int, metric: Metric = "top1") -> dict[str, Any]:  # noqa: ARG002 - the same for any number
        """What stands beside a number."""
        return {"chosen_by": metric}

    def check(self, train: Features, test: Features, validation: Features | None = None, seed: int = 0) -> None:
        """See that the splits have labels by which to learn, to choose and to test; features may still be of width 0."""
        self._parts(train, test, validation, seed)

    def __call__(
        self, train: Features, test: Features, validation: Features | None, seed: int, metric: Metric = "top1"
    ) -> Found:
        """How well `test` is told apart by the classifier trained on `train` and the validation images.

        l2 is chosen by the `metric`; for several labels an image always by mean average precision.

        Raises:
            DataError: labels are missing, classes differ, there is only one, or features are not finite; `validation` is the
                split that is tested or trained on; or `train` is too small for images to be held out.
        """
        kind, parts = self._parts(train, test, validation, seed, metric=metric)
        chosen = self._chosen(kind, parts)
        [final] = self._path(kind, parts.together).fits([chosen.l2], start=chosen.classifier)
        return [
            *kind.found(final.scores(test.h), test),
            ("logistic_l2", Setting(chosen.l2)),
            ("logistic_l2_at_end", float(chosen.l2 in (self.l2s[0], self.l2s[-1]))),
            (f"logistic_validation_{kind.metric}", float(chosen.values.max())),
            ("logistic_gap", final.gap),
            ("logistic_path_l2", self.l2s),
            ("logistic_path_validation", chosen.values),
        ]

    def _parts(
        self, train: Features, test: Features, validation: Features | None, seed: int, *, metric: Metric = "top1"
    ) -> tuple[OneLabel | SeveralLabels, Parts]:
        """What the labels are, and what is learnt from and chosen on."""
        if validation is not None:
            return _kind(train, test, validation, metric=metric), validated(train, validation, test=test, evaluation="logistic")
        kind = _kind(train, test, metric=metric)
        assert train.labels is not None, "they have been checked"
        rows = rows_to_hold_out(train.labels, self.validation_fraction, seed=seed)
        return kind, held_out(train, rows, evaluation="logistic")

    def _chosen(self, kind: OneLabel | SeveralLabels, parts: Parts) -> _Chosen:
        """The best l2 on the validation images; of equals the first of the path, which is the largest."""
        values = np.full(len(self.l2s), -np.inf)
        best: Linear | None = None
        for number, classifier in enumerate(self._path(kind, parts.learnt_from).fits(self.l2s)):
            value = kind.measure(classifier.scores(parts.chosen_on.h), parts.chosen_on)
            best = classifier if value > values.max() else best
            values[number] = value
        assert best is not None, "there is at least one l2"
        return _Chosen(float(self.l2s[values.argmax()]), best, values)

    def _path(self, kind: OneLabel | SeveralLabels, features: Features) -> L2Path:
        device = _device(8 * features.h.size)
        loss = kind.loss(features, device)
        return L2Path(features.h, loss, device=device, tolerance=self.tolerance, max_steps=self.max_iterations)


class _Chosen(NamedTuple):
    """The best l2, its classifier, and what was measured of each l2."""

    l2: float
    classifier: Linear
    values: Float64[np.ndarray, " p"]


def _kind(train: Features, *others: Features, metric: Metric) -> OneLabel | SeveralLabels:
    several = train.labels is not None and train.labels.ndim > 1
    return SeveralLabels(train, *others) if several else OneLabel(train, *others, metric=metric)


def _device(num_bytes: int) -> torch.device:
    """The GPU if there is one with room for three times the features, else the CPU."""
    roomy = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 3 * num_bytes
    return torch.device("cuda" if roomy else "cpu")
