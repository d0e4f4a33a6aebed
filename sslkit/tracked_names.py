"""Tracked names: what a number is called on the way, beside those of other evaluations of the recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sslkit.sections import Part

_OF_NO_NUMBER = ("name", "every_epochs", "baselines")  # they don't change what is measured
_PER_CLASS, _FRACTION = "labels_per_class", "labels_fraction"  # said also where nothing differs


def differing_keys(evaluate: Sequence[Part]) -> dict[str, list[str]]:
    """Name of an evaluation -> the keys in which the sections of that name differ, in the order in which they stand there."""
    found: dict[str, list[str]] = {}
    for name in {part.name for part in evaluate}:
        sections = [part.to_dict() for part in evaluate if part.name == name]
        keys = [key for key in dict.fromkeys(key for section in sections for key in section) if key not in _OF_NO_NUMBER]
        found[name] = [key for key in keys if any(section.get(key) != sections[0].get(key) for section in sections)]
    return found


def tracked_name(result: Mapping[str, Any], differing: Mapping[str, Sequence[str]]) -> str:
    """A result's name, and the settings that tell it from others of the same run.

    `knn_top1` where the recipe has one `knn`; `knn_top1_k_5` and `knn_top1_k_20` where it has two that differ in k;
    `linear_cached_top1_10_labels` with ten labels a class, `finetune_top1_labels_fraction_0.01` with a hundredth of them. It is
    a function of the recipe, so it is the same in every epoch, whichever evaluations are due in it.
    """
    protocol = result["protocol"]
    keys = [key for key in differing.get(protocol["evaluation"], ()) if key not in (_PER_CLASS, _FRACTION)] + [_FRACTION]
    settings = {key: protocol.get("features" if key == "layer" else key) for key in keys}
    words = [f"{key}_{_word(value)}" for key, value in settings.items() if value is not None]
    labels = protocol.get(_PER_CLASS)
    return "_".join([result["name"], *words, *([f"{labels}_labels"] if labels else [])])


def _word(value: Any) -> str:
    """A setting in one word: `0.1`, `5-20`, `true`."""
    if isinstance(value, list | tuple):
        return "-".join(_word(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
