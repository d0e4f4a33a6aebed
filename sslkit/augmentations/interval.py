"""An interval (low, high) from which an augmentation draws, checked before the first image is touched."""

from __future__ import annotations

import math

from sslkit.errors import UserError


def interval(name: str, bounds: tuple[float, float], *, at_most: float = math.inf) -> tuple[float, float]:
    """The bounds as they are, if 0 < low <= high <= at_most.

    Args:
        name: the parameter, for the message.
        bounds: (low, high).
        at_most: the largest `high` that makes sense.

    Raises:
        UserError: they are not in this order, or not in this range.
    """
    low, high = bounds
    if 0 < low <= high <= at_most:
        return bounds
    wanted = "0 < low <= high" + (f" <= {at_most:g}" if math.isfinite(at_most) else "")
    hint = f" Did you mean ({high:g}, {low:g})?" if 0 < high < low <= at_most else ""
    raise UserError(f"{name}: must be (low, high) with {wanted}, is ({low:g}, {high:g}).{hint}")
