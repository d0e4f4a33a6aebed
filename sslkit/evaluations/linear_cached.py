"""Linear evaluation on cached features: one linear classifier on representations that were computed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt
from jaxtyping import Float32, Int64
from torch import nn

from sslkit.errors import UserError
from sslkit.evaluations import targets
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.blocks import slices
from sslkit.evaluations.classifier import Batch, ClassifierTraining
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.frozen import encode
from sslkit.evaluations.linear import Protocol
from sslkit.evaluations.rules import LINEAR
from sslkit.evaluations.shuffled_batches import shuffled_batches

_ROWS = 4096  # test images scored at a time

Rows = tuple[Float32[np.ndarray, "n d"], Int64[np.ndarray, "n *c"]]  # representations and their labels


class LinearProbeCached:
    """The linear classifier of `linear`, trained on representations that are computed once: minutes become seconds.

    A linear layer with bias on h, cross-entropy, SGD with Nesterov momentum 0.9, learning rate `base_lr * batch / 256`,
    90 epochs, no weight decay, no warm-up (arXiv:2002.05709, appendix B.6). Features are used as they are, neither centred
    nor normalised.

    Where we differ from the paper: each training image has one representation, in the evaluation view, or with
    `augmented_passes = m` it has m, of random crops and flips, and epoch e sees that of pass e mod m, instead of new ones in
    every epoch. The number is therefore not the paper's and has a name of its own; `linear` gives the paper's. Also a batch
    of 256, not 4096, with the rate scaled to it. The paper does not say how the rate falls or where the classifier begins; we
    take the cosine to 0 of the official code and the zero weights of its published command. That command also decays weights
    by 1e-6: set `weight_decay` for it. `protocol` takes another framework's settings, as told at `linear`.

    Gives `linear_cached_top1`, and for more than ten classes `linear_cached_top5`, after the last epoch; or, where an image may
    be of several classes, `linear_cached_map`, as told at `linear`. A class that only the
    test split has is never learnt, so its images count as errors. The same features and seed give the same bits.

    Args:
        protocol: whose settings; those given beside it take the place of its own.
        epochs: passes over the training features; 90 in "simclr".
        base_lr: learning rate for a batch of 256; 0.1 in "simclr".
        batch_size: images a step, 256 in "simclr"; all of them where they are fewer. The last batch of an epoch may be smaller.
        weight_decay: of weights and bias; 0 in "simclr".
        augmented_passes: how many random views of each training image are embedded; 0 for the evaluation view alone. All of
            them lie in memory.
    """

    def __init__(
        self,
        *,
        protocol: Protocol = "simclr",
        epochs: Annotated[int, Gt(0)] | None = None,
        base_lr: Annotated[float, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] | None = None,
        weight_decay: Annotated[float, Ge(0)] | None = None,
        augmented_passes: Annotated[int, Ge(0)] = 0,
    ) -> None:
        rule = LINEAR[protocol].but(epochs=epochs, base_lr=base_lr, batch_size=batch_size, weight_decay=weight_decay)
        self.augmented_passes = augmented_passes
        self.law = "random views, embedded once" if augmented_passes else "one fixed view"
        self.training = ClassifierTraining("linear_cached", rule)

    def settings(self, num_images: int) -> dict[str, Any]:  # noqa: ARG002 - the same for any number
        """What stands beside a number."""
        return self.training.rule.settings

    def check(self, train: Features, test: Features) -> targets.Target:
        """The labels of both splits, if they have them; features may still be of width 0."""
        return targets.of_features(train, test, "linear_cached")

    def __call__(
        self,
        train: Features,
        test: Features,
        seed: int,
        encoder: nn.Module | None = None,
        images: EvaluationImages | None = None,
    ) -> Found:
        """Accuracies on `test` of a classifier trained on `train`; encoder and images are for augmented passes.

        Raises:
            DataError: labels are missing, classes differ, or features are not finite.
            NonFiniteError: the training diverged.
            UserError: there are augmented passes, and no encoder or no images.
        """
        target = self.check(train, test)
        passes: list[Rows] = [(train.h, target.train)]
        if self.augmented_passes:
            if encoder is None or images is None:
                raise UserError(
                    f"linear_cached: augmented_passes = {self.augmented_passes} embeds random views of the training images; "
                    f"hand over `encoder` and `images` too, or leave it out."
                )
            passes = [_embedded(encoder, images, epoch) for epoch in range(self.augmented_passes)]

        def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
            h, y = passes[epoch % len(passes)]
            return shuffled_batches(h, y, epoch=epoch, batch_size=batch_size, seed=seed, name="linear")

        classifier = self.training.fit(batches, num_images=len(train.h), num_classes=target.num_classes, loss=target.loss)
        # Copies, for the features may be read-only.
        seen = (torch.tensor(test.h[part]) for part in slices(len(test.h), _ROWS))
        return target.judged(self.training.score(classifier, seen)).found("linear_cached")


def _embedded(encoder: nn.Module, images: EvaluationImages, epoch: int) -> Rows:
    """Every training image once, cropped and flipped at random, in the order of the epoch."""
    # Copies: raw pixels are views of the loader's memory, which the next batches are written to.
    parts = [(encode(encoder, x).cpu().numpy().copy(), y.cpu().numpy().copy()) for x, y in images.train_batches(epoch, 256)]
    return np.concatenate([h for h, _ in parts]), np.concatenate([y for _, y in parts])
