"""Facts: the numbers that follow from a recipe and its images."""

from __future__ import annotations

from typing import NamedTuple

from sslkit import schedule
from sslkit.errors import DataError
from sslkit.recipe import Recipe


class Facts(NamedTuple):
    """What follows from a recipe and the number of its images."""

    num_images: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    peak_lr: float


def facts(recipe: Recipe, num_images: int) -> Facts:
    """The derived numbers; DataError if there is not one whole batch."""
    settings = recipe.train
    if num_images < settings.batch_size:
        raise DataError(
            f"train.batch_size: is {settings.batch_size}, and the split {recipe.data.options['split']!r} has {num_images} "
            f"images; an epoch needs at least one whole batch."
        )
    steps = schedule.num_steps(num_images, batch_size=settings.batch_size, epochs=settings.epochs)
    warmup_steps = schedule.warmup_steps(settings.warmup_epochs, num_images=num_images, batch_size=settings.batch_size)
    if warmup_steps >= steps:
        raise DataError(
            f"train.warmup_epochs: {settings.warmup_epochs:g} epochs of {num_images} images are {warmup_steps} steps, and the "
            f"run has {steps}; the peak would never be reached."
        )
    return Facts(
        num_images=num_images,
        steps_per_epoch=num_images // settings.batch_size,
        steps=steps,
        warmup_steps=warmup_steps,
        peak_lr=schedule.peak_lr(settings.base_lr, batch_size=settings.batch_size, scaling=settings.lr_scaling),
    )
