"""Evaluation keys: keys of an `[[evaluate]]` section that an evaluation would pass over, or that contradict each other.

They stand in the protocol of its numbers, so what is not used there would be a false statement.
"""

from __future__ import annotations

from typing import Any

from sslkit import signatures
from sslkit.errors import DataError
from sslkit.sections import Part
from sslkit.selection import CHOOSES

_LEARNS_FROM = ("train", "images", "selection", "final")
_OF_LABELS = ("labels_per_class", "labels_fraction")
_BY_SEED = ("seed", "images", "selection", "final")  # crops and flips are drawn by it too


def check_keys(part: Part, evaluation: Any) -> None:
    """Raise DataError if a section has a key that its evaluation does not use, or two that can't be together."""
    called = signatures.written(type(evaluation), "__call__")
    declared = set() if called is None else {one.name for one in signatures.parameters_of(called)}
    validation = part.options["validation"]
    labels = [key for key in _OF_LABELS if part.options[key] is not None]
    if validation is not None and declared.isdisjoint(CHOOSES):
        raise DataError(f"validation: {part.name!r} chooses nothing on a validation split; leave {validation!r} out.")
    if labels and (not getattr(evaluation, "learns", True) or "online" in declared or declared.isdisjoint(_LEARNS_FROM)):
        raise DataError(f"{labels[0]}: {part.name!r} learns from no labels of 'train'; leave it out.")
    if labels and validation is not None:
        raise DataError(
            f"{labels[0]}: {part.name!r} would use all labels of {validation!r} beside those, to choose and to learn, so the "
            f"number would be of more labels than it says. Leave validation out; a share of the images of 'train' that are "
            f"left is held out then."
        )
    if part.options["repeats"] > 1 and not labels and _without_seed(evaluation, declared, validation):
        raise DataError(
            f"repeats: nothing in {part.name!r} depends on the seed here, so each repeat would give the same number, and the "
            f"spread would be 0. Leave it out; labels_per_class and labels_fraction draw other images by each seed."
        )


def _without_seed(evaluation: Any, declared: set[str], validation: str | None) -> bool:
    """Whether the seed enters nowhere, all images of the splits being used."""
    only_holds_out = validation is not None and getattr(evaluation, "seed_holds_out", False)
    return only_holds_out or declared.isdisjoint(_BY_SEED)
