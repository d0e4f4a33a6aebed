"""The learning rate as a pure function of the step: a linear warm-up, then half a cosine down to zero.

Every duration becomes steps once, here; a run has nothing to remember about its schedule.
"""

from __future__ import annotations

import math
from typing import Literal

from sslkit.errors import UserError


def lr_at(step: int, *, steps: int, warmup_steps: int, peak: float) -> float:
    """Learning rate of one step (arXiv:2002.05709, section 2.3).

    `peak * step / warmup_steps` while warming up, so that the first step has learning rate 0; then
    `peak * (1 + cos(pi * (step - warmup_steps) / (steps - warmup_steps))) / 2`, which would reach 0 at `steps`, one after the
    last. A warm-up longer than the run never reaches the peak.

    Args:
        step: counted from 0, at most `steps`.
        steps: of the whole run.
        warmup_steps: 0 for none.
        peak: the highest learning rate.
    """
    assert 0 <= step <= steps, f"step {step} is not one of a run of {steps} steps"
    if step < warmup_steps:
        return peak * step / warmup_steps
    if step == steps:
        return 0.0
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


def peak_lr(base_lr: float, *, batch_size: int, scaling: Literal["linear", "sqrt", "none"]) -> float:
    """The highest learning rate of a run with this many images a step (arXiv:2002.05709, section 2.3 and appendix B.1).

    >>> peak_lr(0.3, batch_size=4096, scaling="linear"), peak_lr(0.075, batch_size=4096, scaling="sqrt")
    (4.8, 4.8)

    Args:
        base_lr: what `scaling` refers to: linear is `base_lr * batch_size / 256`, sqrt is `base_lr * sqrt(batch_size)`.
        batch_size: images a step over all ranks; an image with two views counts once.
        scaling: `none` takes `base_lr` as it is.
    """
    if scaling == "linear":
        return base_lr * batch_size / 256
    if scaling == "sqrt":
        return base_lr * math.sqrt(batch_size)
    return base_lr


def num_steps(num_images: int, *, batch_size: int, epochs: int) -> int:
    """Steps of a run that drops the tail of each epoch: `epochs * (num_images // batch_size)`.

    The official code lets a batch straddle two epochs and has `num_images * epochs // batch_size + 1`.

    Raises:
        UserError: there are fewer images than one batch takes.
    """
    if num_images < batch_size:
        raise UserError(f"batch_size: a step takes {batch_size} images, but there are only {num_images}; make it smaller.")
    return epochs * (num_images // batch_size)


def warmup_steps(warmup_epochs: float, *, num_images: int, batch_size: int) -> int:
    """Steps of the warm-up: `warmup_epochs * num_images / batch_size`, rounded down as in the official code."""
    return int(warmup_epochs * num_images // batch_size)
