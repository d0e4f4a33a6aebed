"""Transfer splits: those of a data set that a transfer asks for, and the one on which settings are chosen."""

from __future__ import annotations

from collections.abc import Callable

from sslkit.datasets.images import Images
from sslkit.datasets.origins import num_shared
from sslkit.errors import UnknownSplit
from sslkit.transfer_plan import Plan

VALIDATION = "val"  # where a data set has it


def require_splits(images: Callable[[str], Images], plan: Plan) -> None:
    """Open the splits that were asked for, so that a wrong name is said of the option that has it."""
    for key in ("train", "validation", "test"):
        name = getattr(plan, key)
        try:
            if name is not None:
                images(name)
        except UnknownSplit as error:
            raise UnknownSplit(f"--{key} {name}: {error}") from error


def usual_validation(images: Callable[[str], Images], plan: Plan) -> tuple[str | None, str]:
    """The split `val`, if it is there and shares no image with the two others; else why not."""
    try:
        found = images(VALIDATION)
    except UnknownSplit:
        return None, f"has no split {VALIDATION!r}"
    for name in (plan.train, plan.test):
        if name == VALIDATION or num_shared(images(name), found):
            return None, f"the split {VALIDATION!r} shares images with {name!r}"
    return VALIDATION, ""
