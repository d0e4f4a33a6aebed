"""Linear classifiers for one strength of l2 after another, each search begun where the last two classifiers point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from sslkit.evaluations.accuracy import unlearnt_last
from sslkit.evaluations.blocks import blocks
from sslkit.evaluations.lbfgs import Point, minimise
from sslkit.evaluations.score_losses import ScoreLoss

_ROWS = {"cpu": 1024, "cuda": 16384}  # images at a time; on a CPU a cache still has them when the gradient needs them again
_EPSILON = 2.0**-52  # the share of the objective that rounding hides
_FLAT = 1e-12  # a curvature below is taken for this one


class Linear(NamedTuple):
    """A linear classifier: the scores are `weight h + bias`.

    Args:
        weight: one row a class.
        bias: one number a class.
        learnt: which classes had images to learn from.
        gap: how much higher than the lowest its objective is at most, see `L2Path`.
    """

    weight: Float64[np.ndarray, "c d"]
    bias: Float64[np.ndarray, " c"]
    learnt: Bool[np.ndarray, " c"]
    gap: float

    def scores(self, h: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n c"]:
        """One row an image; classes that were not learnt stand behind all others."""
        return unlearnt_last(np.concatenate([block @ self.weight.T + self.bias for block in blocks(h)]), self.learnt)


class L2Path:
    """The regularised linear classifiers with the lowest objective, for one l2 after another, by L-BFGS in float64.

    The objective has weights W and biases b, which are not regularised:

        loss(W h + b)  +  l2 / 2 * sum of W^2

    Few steps are needed, whatever the scale of the features, for two reasons. The search works in coordinates in which the
    objective is curved alike in all directions, by about 1: the principal axes of the features, where a weight is multiplied
    by `sqrt(a v + l2)`, with v the variance of the features along its axis and a the mean curvature of the loss by the score
    of its class; the minimum is the same. And it begins at `2 w - w'`, with w and w' the classifiers of the last two l2:
    where l2 falls in equal ratios, the next classifier lies there to first order.

    It ends when, with g the gradient by W,

        sum of g^2 / (2 l2)  <=  tolerance * min(objective, what W has lowered it by)

    Since the objective is curved by l2 or more in every direction of W, it is higher than the lowest by no more than the left
    side. Biases have no such bound: their part of the sum is `g^2 / (2 a)`. The right side is small where l2 is so strong that
    W hardly matters, for even a W that is almost zero decides between classes of equal size; and where l2 is so weak that the
    objective is almost zero. `Linear.gap` is the left side as a share of that minimum.

    Features are held in memory: 8 bytes each, and twice that while they are turned.

    Args:
        h: the features.
        loss: of their scores.
        device: where it is computed, and where the loss's tensors are.
        tolerance: how much higher than the lowest the objective may be, as such a share.
        max_steps: of each search. What is found by then is taken; `Linear.gap` says how good it is.
    """

    def __init__(
        self, h: Float32[np.ndarray, "n d"], loss: ScoreLoss, *, device: torch.device, tolerance: float, max_steps: int
    ) -> None:
        self.loss = loss
        self.tolerance = tolerance
        self.max_steps = max_steps
        self.num_evaluations = 0
        x = torch.from_numpy(h.astype(np.float64)).to(device)
        self._mean = x.mean(dim=0)  # (d,)
        x -= self._mean
        x, self._axes, variances = _along_principal_axes(x)  # (n, k), (d, k), (k,)
        self._x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)  # (n, k + 1), with a constant for the bias
        self._variances = torch.cat([variances, variances.new_ones(1)])
        self._without_weights, *_ = self._objective(self._begin(), torch.zeros_like(self._variances))

    def fits(self, l2s: Iterable[float], start: Linear | None = None) -> Iterator[Linear]:
        """A classifier for each l2, of which the largest should come first.

        Args:
            l2s: the strengths, in equal ratios.
            start: where the first search begins; else without weights.
        """
        before = now = self._begin() if start is None else self._inwards(start)
        for l2 in l2s:
            minimum, gap = self._minimum(l2, 2 * now - before)
            before, now = now, minimum
            yield self._outwards(minimum, gap)

    def _minimum(self, l2: float, start: Float64[Tensor, "c k"]) -> tuple[Float64[Tensor, "c k"], float]:
        """The lowest point of the objective, and how far it may be from being so."""
        penalty = torch.full_like(self._variances, l2)  # (k + 1,)
        penalty[-1] = 0
        value, gradient, curvature = self._objective(start, penalty)
        scale = (curvature.clamp(min=_FLAT)[:, None] * self._variances + penalty).rsqrt()  # (c, k + 1)
        strictness = l2 * scale**2
        strictness[:, -1] = 1

        def function(place: Float64[Tensor, "c k"]) -> tuple[float, Float64[Tensor, "c k"]]:
            value, gradient, _ = self._objective(place * scale, penalty)
            return value, gradient * scale

        def excess(point: Point) -> float:
            return float((point.gradient**2 / strictness).sum()) / 2

        def measure(point: Point) -> float:
            return max(_EPSILON * self._without_weights, min(point.value, self._without_weights - point.value))

        found = minimise(
            function,
            Point(start / scale, value, gradient * scale),
            done=lambda point: excess(point) <= self.tolerance * measure(point),
            max_steps=self.max_steps,
        )
        return found.place * scale, excess(found) / measure(found)

    def _objective(
        self, weight: Float64[Tensor, "c k"], penalty: Float64[Tensor, " k"]
    ) -> tuple[float, Float64[Tensor, "c k"], Float64[Tensor, " c"]]:
        """Its value, its gradient, and the mean curvature of the loss by the scores of each class."""
        self.num_evaluations += 1
        value = (penalty * weight**2).sum() / 2
        gradient = penalty * weight
        curvature = weight.new_zeros(len(weight))
        step = _ROWS[self._x.device.type]
        for first in range(0, len(self._x), step):
            rows = slice(first, first + step)
            terms = self.loss(weight @ self._x[rows].T, rows)
            value += terms.value
            gradient.addmm_(terms.residuals, self._x[rows])
            curvature += terms.curvature
        return float(value), gradient, curvature

    def _begin(self) -> Float64[Tensor, "c k"]:
        """The best classifier without weights, in the coordinates of the search."""
        weight = self._x.new_zeros(len(self.loss.bias), self._x.shape[1])
        weight[:, -1] = self.loss.bias
        return weight

    def _inwards(self, linear: Linear) -> Float64[Tensor, "c k"]:
        weight, bias = (torch.from_numpy(each).to(self._x.device) for each in linear[:2])
        return torch.cat([weight @ self._axes, (bias + weight @ self._mean)[:, None]], dim=1)

    def _outwards(self, found: Float64[Tensor, "c k"], gap: float) -> Linear:
        weight = found[:, :-1] @ self._axes.T  # (c, d)
        bias = found[:, -1] - weight @ self._mean
        return Linear(weight.cpu().numpy(), bias.cpu().numpy(), self.loss.learnt, gap)


def _along_principal_axes(
    x: Float64[Tensor, "n d"],
) -> tuple[Float64[Tensor, "n k"], Float64[Tensor, "d k"], Float64[Tensor, " k"]]:
    """Centred features in their principal axes, the axes, and the variance along each.

    With fewer images than features the best weights lie in the span of the images, and k is n.
    """
    if len(x) < x.shape[1]:
        span, triangle = torch.linalg.qr(x.T)  # (d, n), (n, n)
        rotated, axes, variances = _along_principal_axes(triangle.T.contiguous())
        return rotated, span @ axes, variances
    variances, axes = torch.linalg.eigh(x.T @ x / len(x))
    return x @ axes, axes, variances.clamp(min=0)
