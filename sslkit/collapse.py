"""Collapse: whether the network has come to give all images one z; seen while it trains, and said once, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.distributed.gather import gather
from sslkit.evaluations.spectrum import rankme, singular_values
from sslkit.evaluations.spread import feature_std

_SAME = 0.01  # of the spread; at their first step the shipped recipes have 0.99, and a network without a head 0.47
_LINE = 1.1  # of the effective rank
_FEWEST = 16  # rows; the views of fewer images may well lie together
_LOOKED_AT = 256  # rows at most; the time that a rank takes grows with their third power
_REMEDIES = (
    "What usually helps: more negatives (train.batch_size) or a higher loss.temperature; a smaller train.base_lr, a longer "
    "train.warmup_epochs; a batch norm in the head; of a loss without negatives what keeps it from collapse, such as a "
    "stop-gradient or a term for the variance. See docs/reliability.md."
)

Backward = Callable[[Any, Any, int], tuple[Tensor, dict[str, Tensor]]]


class Spread(NamedTuple):
    """How far projections spread.

    std: standard deviation of u = z / ||z|| in each dimension, its mean over the dimensions, times sqrt(k): 1 where directions
        are drawn evenly, 0 where all are one (arXiv:2011.10566, section 4.1 and figure 2; the paper leaves out the factor).
    rank: effective rank of the z, from 1, where all lie on one line, to k (arXiv:2210.02885, eq. 1).
    """

    std: float
    rank: float


def spread(z: Float[Tensor, "m k"]) -> Spread:
    """The spread of projections, told from at most 256 rows, evenly chosen; NaN where these are not finite."""
    chosen = torch.linspace(0, len(z) - 1, min(len(z), _LOOKED_AT)).long()
    rows = z.detach()[chosen.to(z.device)].float().cpu().numpy()
    if not np.isfinite(rows).all():
        return Spread(math.nan, math.nan)
    return Spread(feature_std(rows), rankme(singular_values(rows, np.arange(len(rows), dtype=np.int64))))


@contextmanager
def projections(method: Any) -> Iterator[list[Tensor]]:
    """What the method's head gives in a backward pass within this block: `(n, k)` a call, each row once, also in slices."""
    seen: list[Tensor] = []

    def see(_module: nn.Module, _input: Any, z: Any) -> None:
        # The first pass of micro-batches has no graph; the second gives the same rows again.
        if torch.is_grad_enabled() and isinstance(z, Tensor) and z.ndim == 2:
            seen.append(z.detach())

    hook = method.head.register_forward_hook(see)
    try:
        yield seen
    finally:
        hook.remove()


class Watched:
    """A backward pass that looks at the z of some steps, and says once if they have collapsed.

    They have if their spread (`Spread`) has a `std` of at most 0.01, or a `rank` of at most 1.1 with two dimensions or more.
    The papers draw these numbers and name no threshold; these are ours. The z of all ranks are looked at together.

    Args:
        backward: `(method, batch, step) -> (loss, scalars)`.
        when: step, from 0 -> whether to look; the same on all ranks.
        say: where it is said.
    """

    def __init__(self, backward: Backward, *, when: Callable[[int], bool], say: Callable[[str], None]) -> None:
        self._backward, self._when, self._say = backward, when, say
        self._said = False

    def __call__(self, method: Any, batch: Any, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """What `backward` gives."""
        if self._said or not self._when(step):
            return self._backward(method, batch, step)
        with projections(method) as seen:
            found = self._backward(method, batch, step)
        if seen and (sentence := warning(gather(torch.cat(seen)))):
            self._said = True
            self._say(f"step {step + 1}: {sentence}")
        return found


def warning(z: Float[Tensor, "m k"]) -> str:
    """What is to be said of projections that have collapsed; nothing of others, or of fewer than 16 rows."""
    if len(z) < _FEWEST:
        return ""
    std, rank = spread(z)
    if std <= _SAME:
        what = "all images have nearly the same projection z, whatever they show"
    elif rank <= _LINE and z.shape[1] > 1:
        what = "the projections z of all images lie nearly on one line"
    else:
        return ""
    return (
        f"warning: the representation collapses: {what} (standard deviation of z / ||z||, times sqrt(k): {std:.2g}, where 1 is "
        f"an even spread; effective rank {rank:.3g} of {z.shape[1]}). An encoder trained so hardly tells images apart. "
        f"{_REMEDIES}"
    )
