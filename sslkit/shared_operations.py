"""Shared operations: which operations the views of a recipe have in common, and where each of them stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sslkit.augmentations import is_crop
from sslkit.augmentations.composition import Operation
from sslkit.recipe import Recipe
from sslkit.views import View


class Shared(NamedTuple):
    """An operation of one or more views.

    Args:
        section: its own parameters, with its name.
        operation: as the first of these views has it.
        stands: (number of a view, from 0, and the operation's p there), in order.
    """

    section: dict[str, Any]
    operation: Operation
    stands: list[tuple[int, float]]

    @property
    def first(self) -> int:
        """The number of the first view that it stands in."""
        return self.stands[0][0]

    def where(self) -> str:
        """`p 1 in view 1, p 0.1 in views 2 and 3`, counted from 1; of a crop, which takes every image, `views 1 to 3`."""
        numbers: dict[float, list[int]] = {}
        for view, p in self.stands:
            numbers.setdefault(p, []).append(view + 1)
        share = "" if is_crop(type(self.operation.apply)) else "p {:g} in "
        return ", ".join(share.format(p) + _counted(views) for p, views in numbers.items())


def shared_operations(recipe: Recipe, views: Sequence[View]) -> list[Shared]:
    """All operations of a recipe's views, which are built already; those that differ in nothing but their p are one."""
    found: list[Shared] = []
    for number, (parts, view) in enumerate(zip(recipe.views, views, strict=True)):
        for part, operation in zip(parts, (view.crop, *view.operations), strict=True):
            section = {key: value for key, value in part.to_dict().items() if key != "p"}
            if section not in [one.section for one in found]:
                found.append(Shared(section, operation, []))
            (same,) = (one for one in found if one.section == section)
            same.stands.append((number, operation.p))
    return found


def _counted(views: Sequence[int]) -> str:
    """`view 1`, `views 1 and 2`, `views 1 to 5`."""
    first, *others = dict.fromkeys(views)  # it may stand in a view twice
    if not others:
        return f"view {first}"
    in_a_row = len(others) > 1 and others[-1] - first == len(others)
    return f"views {first} to {others[-1]}" if in_a_row else f"views {' and '.join(map(str, (first, *others)))}"
