"""Linear evaluation on cached features: one linear classifier on representations that were computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt
from jaxtyping import Float32
from torch import Tensor

from sslkit.draws import shuffled
from sslkit.evaluations.accuracy import Found, accuracies
from sslkit.evaluations.features import Features, LabelledPair, labelled_features
from sslkit.evaluations.probe import Batch, ProbeTraining

_ROWS = 4096  # test images scored at a time


class LinearProbeCached:
    """The linear classifier of `linear`, trained on one fixed view of each image: minutes become seconds.

    A linear layer with bias on h, cross-entropy, SGD with Nesterov momentum 0.9, learning rate `base_lr * batch / 256`,
    90 epochs, no weight decay, no warm-up (arXiv:2002.05709, appendix B.6). Features are used as they are, neither centred
    nor normalised.

    Where we differ from the paper: no random crops and flips in training, since every image has one cached representation.
    The number is therefore not the paper's and has a name of its own; `linear` gives the paper's. Also a batch of 256, not
    4096, with the rate scaled to it. The paper does not say how the rate falls or where the classifier begins; we take the
    cosine to 0 of the official code and the zero weights of its published command. That command also decays weights by 1e-6:
    set `weight_decay` for it.

    Gives `linear_cached_top1`, and for more than ten classes `linear_cached_top5`, after the last epoch. A class that only the
    test split has is never learnt, so its images count as errors. The same features and seed give the same bits.

    Args:
        epochs: passes over the training features.
        base_lr: learning rate for a batch of 256.
        batch_size: images a step; all of them where they are fewer. The last batch of an epoch may be smaller.
        weight_decay: of weights and bias.
    """

    protocol = "one fixed view, SGD Nesterov"

    def __init__(
        self,
        *,
        epochs: Annotated[int, Gt(0)] = 90,
        base_lr: Annotated[float, Gt(0)] = 0.1,
        batch_size: Annotated[int, Gt(0)] = 256,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        self.training = ProbeTraining("linear_cached", epochs, base_lr, batch_size, weight_decay)

    def check(self, train: Features, test: Features) -> LabelledPair:
        """The labels of both splits, if they have them; features may still be of width 0."""
        return labelled_features(train, test, "linear_cached")

    def __call__(self, train: Features, test: Features, seed: int) -> Found:
        """Accuracies on `test` of a classifier trained on `train`.

        Raises:
            DataError: labels are missing, classes differ, or features are not finite.
            NonFiniteError: the training diverged.
        """
        labels = self.check(train, test)

        def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
            order = shuffled(len(train.h), seed, "linear", epoch)
            for rows in np.split(order, range(batch_size, len(order), batch_size)):
                yield torch.from_numpy(train.h[rows]), torch.from_numpy(labels.train[rows])

        classifier = self.training.fit(batches, num_images=len(train.h), num_classes=labels.num_classes)
        found = self.training.score(classifier, _in_chunks(test.h), labels.test)
        return accuracies(found, labels.test, prefix="linear_cached", num_classes=labels.num_classes)


def _in_chunks(h: Float32[np.ndarray, "n d"]) -> Iterator[Float32[Tensor, "b d"]]:
    for first in range(0, len(h), _ROWS):
        yield torch.tensor(h[first : first + _ROWS])  # a copy, for the features may be read-only
