"""Bounds of a grid: the smallest and the largest value of a setting that is chosen on validation images."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from sslkit.errors import UserError

Bounds = tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]]


def in_order(name: str, bounds: tuple[float, float]) -> tuple[float, float]:
    """The bounds as they are; UserError, with the parameter's name, if the first is the larger one."""
    low, high = bounds
    if low > high:
        raise UserError(f"{name}: must be (low, high), is ({low:g}, {high:g}). Did you mean ({high:g}, {low:g})?")
    return bounds
