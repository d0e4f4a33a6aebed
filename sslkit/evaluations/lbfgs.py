"""L-BFGS: steps to the lowest point of a smooth function, with a curvature that is learnt from the last few steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Float64
from torch import Tensor

Place = Float64[Tensor, "..."]
Function = Callable[[Place], tuple[float, Place]]  # a place -> the value and the gradient there

_MEMORY = 10  # steps that are remembered
_ENOUGH = 1e-4  # of the decrease that the slope promises
_SHORTEST = 1e-12  # part of a step, where rounding hides any decrease


class Point(NamedTuple):
    """A place, and what the function is there."""

    place: Place
    value: float
    gradient: Place


class _Step(NamedTuple):
    """What a step teaches: along `moved` the gradient changed by `turned`; `product` is that of the two."""

    moved: Place
    turned: Place
    product: float


def minimise(function: Function, start: Point, *, done: Callable[[Point], bool], max_steps: int) -> Point:
    """The lowest point of a convex function, as near as `done` asks for.

    Source: Nocedal and Wright, Numerical Optimization, second edition, algorithm 7.5, with a memory of ten steps. A whole step
    is tried first, then the lowest point of the parabola through what is known, until the function falls enough (section 3.1).
    The book asks for Wolfe's second condition too, so that the curvature along a step is positive; that of a strictly convex
    function is, and where rounding hides it the step is not remembered.

    Where the function is curved alike in all directions, by about 1, few steps are needed.

    Args:
        function: a place -> the value and the gradient there.
        start: where the search begins.
        done: whether a point is near enough.
        max_steps: the search ends there, near enough or not; and where rounding hides any decrease.
    """
    point = start
    steps: deque[_Step] = deque(maxlen=_MEMORY)
    for _ in range(max_steps):
        if done(point):
            break
        lower = _lower(function, point, _direction(point.gradient, steps))
        if lower is None:
            break
        moved, turned = lower.place - point.place, lower.gradient - point.gradient
        product = _dot(moved, turned)
        if product > 0:
            steps.append(_Step(moved, turned, product))
        point = lower
    return point


def _lower(function: Function, point: Point, direction: Place) -> Point | None:
    """A point in this direction where the function is enough lower, or none if there is none."""
    slope, length = _dot(point.gradient, direction), 1.0
    while slope < 0 and length > _SHORTEST:
        place = point.place + length * direction
        value, gradient = function(place)
        if value < point.value and value <= point.value + _ENOUGH * length * slope:
            return Point(place, value, gradient)
        parabola = -0.5 * slope * length / ((value - point.value) / length - slope)
        length = min(max(parabola, 0.1 * length), 0.5 * length)
    return None


def _direction(gradient: Place, steps: Sequence[_Step]) -> Place:
    """Minus the gradient, divided by the curvature that the steps have shown (algorithm 7.4)."""
    direction = -gradient
    weights = []
    for step in reversed(steps):
        weights.append(_dot(step.moved, direction) / step.product)
        direction = direction - weights[-1] * step.turned
    if steps:
        direction = direction * (steps[-1].product / _dot(steps[-1].turned, steps[-1].turned))
    for step, weight in zip(steps, reversed(weights), strict=True):
        direction = direction + (weight - _dot(step.turned, direction) / step.product) * step.moved
    return direction


def _dot(a: Place, b: Place) -> float:
    return float((a * b).sum())
