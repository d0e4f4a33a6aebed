"""Composition: operations that work on images at addressed draws, each on its share of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import MinLen
from jaxtyping import Bool

from sslkit.augmentations import is_crop
from sslkit.augmentations.batch import Images, on_rows
from sslkit.draws import Draw
from sslkit.errors import ContractError
from sslkit.signatures import Sections

Operations = Annotated[list[Any], MinLen(1), Sections("augmentations")]


class Operation(NamedTuple):
    """One operation of a list: `address` tells its draws from others', `p` is the share of images it is applied to."""

    apply: Any
    address: str
    p: float = 1.0

    def __call__(self, images: Images, at: Callable[..., Draw]) -> Images:
        """Apply it to its share of the images; `at` gives the draws at an address inside that of the whole list."""
        if self.p >= 1:
            return self._applied(images, at(self.address))
        chosen = self.chosen(at)
        return on_rows(chosen, images, lambda some: self._applied(some, at(self.address).rows(chosen)))

    def _applied(self, images: Images, draw: Draw) -> Images:
        shape = images.shape
        result: Images = self.apply(images, draw)
        if not isinstance(result, np.ndarray) or result.shape != shape or result.dtype != np.float32:
            given = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else repr(result)
            name = self.address.partition("#")[0]
            raise ContractError(f"augmentation {name!r}: must give float32 {shape}, like what it got, and gave {given}.")
        return result

    def chosen(self, at: Callable[..., Draw]) -> Bool[np.ndarray, " n"]:
        """Which images it is applied to."""
        return at(self.address, "p").chance(self.p)

    def on(self, rows: Bool[np.ndarray, " n"], images: Images, draw: Draw) -> Images:
        """Apply it to its share of some of the images, at addresses inside of a draw."""
        return on_rows(rows, images, lambda some: self(some, draw.rows(rows).within))


class Turn(NamedTuple):
    """An operation inside of another one, and the rows of the images that it works on now."""

    operation: Operation
    rows: Bool[np.ndarray, " n"]


def addressed(operations: Sequence[Any]) -> Iterator[Operation]:
    """Operations with an address each: name and occurrence, so that adding another one does not move its numbers.

    Args:
        operations: objects, named by their class (`HorizontalFlip` is `horizontal_flip`, as in a recipe), or `(name, object)`,
            or `(name, object, p)`; without p it is the object's own, else 1.

    Raises:
        ContractError: one is no such thing, for instance a class or the name that it has in a recipe.
    """
    seen: dict[str, int] = {}
    for one in operations:
        name, apply, *share = one if isinstance(one, tuple) and len(one) in (2, 3) else (_snake_case(type(one).__name__), one)
        if isinstance(apply, type) or not callable(apply):
            raise ContractError(
                f"operations: an operation is an object, like HorizontalFlip(), or (name, object), or (name, object, p); "
                f"{one!r} is none."
            )
        p = share[0] if share else getattr(apply, "p", 1.0)
        yield Operation(apply, f"{name}#{seen.setdefault(name, 0)}", p)
        seen[name] += 1


def without_crops(operations: Sequence[Any]) -> list[Operation]:
    """The addressed operations of a list inside of another one, where no crop can stand.

    Raises:
        ContractError: there is a crop, or no operation at all.
    """
    found = list(addressed(operations))
    if not found:
        raise ContractError("operations: must hold at least one operation.")
    for operation in found:
        if is_crop(type(operation.apply)):
            name = operation.address.partition("#")[0]
            raise ContractError(
                f"operations: {name!r} is a crop: it stands at the beginning of a view, not inside of another list."
            )
    return found


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
