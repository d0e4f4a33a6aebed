"""Evaluation place: what of a network an evaluation looks at, and where the pictures that it draws of it lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from sslkit.sections import Part


def layer_of(part: Part, who: str) -> str:
    """What is evaluated; of raw pixels there is one layer only."""
    return "h" if who == "pixels" else str(part.options["layer"])


def place_of(part: Part, evaluate: Sequence[Part], *, who: str, folder: Path) -> Path:
    """Where pictures go: of h of the trained encoder into the folder itself, of others into one of their own below it.

    A second evaluation of one name draws into a folder such as `neighbours_picture-2`.

    Args:
        part: the evaluation.
        evaluate: all of the recipe.
        who: whose encoder it is, `trained` or a baseline.
        folder: of the run.
    """
    layer = layer_of(part, who)
    before = takewhile(lambda one: one is not part, evaluate)
    asked = (one for one in before if who == "trained" or who in one.options["baselines"])
    number = 1 + sum((one.name, layer_of(one, who)) == (part.name, layer) for one in asked)
    words = [
        *(word for word in (who, layer) if word not in ("trained", "h")),
        *([f"{part.name}-{number}"] if number > 1 else []),
    ]
    return folder.joinpath(*words)
