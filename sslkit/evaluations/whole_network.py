"""Whole network: a copy of the encoder and a classifier on top of it learn together, and are scored."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sslkit.errors import DataError, UserError
from sslkit.evaluations import targets
from sslkit.evaluations.classifier import Batch, ClassifierTraining
from sslkit.evaluations.features import EvaluationImages
from sslkit.evaluations.frozen import device_of
from sslkit.evaluations.rules import Rule
from sslkit.gradient import seed_noise


def refuse_pixels(baselines: Sequence[str]) -> None:
    """Raise DataError if raw pixels are among the baselines."""
    if "pixels" in baselines:
        raise DataError("raw pixels have no weights to learn; leave 'pixels' out of its baselines.")


def fine_tuned(
    encoder: nn.Module, images: EvaluationImages, *, rule: Rule, evaluation: str, seed: int, norm_momentum: float | None = None
) -> targets.Guessed | targets.Ranked:
    """What a network that learnt the training images makes of the test images.

    Args:
        encoder: where the learning starts; it stays as it is.
        images: training and test images.
        rule: how it learns.
        evaluation: what messages call it.
        seed: of the network's own noise, dropout and its like, and of MixUp.
        norm_momentum: of the statistics of batch norm, as torch counts it; the encoder's own by default.

    Raises:
        DataError: labels are missing.
        NonFiniteError: the training diverged.
        UserError: the encoder has nothing to learn.
    """
    target = targets.of_images(images, evaluation)
    learning = copy.deepcopy(encoder)
    if not list(learning.parameters()):
        raise UserError(f"{evaluation}: the encoder has no weights; raw pixels can be a baseline of other evaluations only.")
    if norm_momentum is not None:
        for module in learning.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = norm_momentum

    def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
        for x, y in images.train_batches(epoch, batch_size):
            device = device_of(learning, x)
            yield x.to(device, memory_format=torch.channels_last), y.to(device)

    seed_noise(seed, "finetune")
    training = ClassifierTraining(evaluation, rule)
    network = training.fit(
        batches,
        num_images=len(target.train),
        num_classes=target.num_classes,
        encoder=learning,
        loss=target.loss,
        seed=seed,
    )
    return target.judged(training.score(network, (x.to(device_of(learning, x)) for x in images.test_batches(256))))
