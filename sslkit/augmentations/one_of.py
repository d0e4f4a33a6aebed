"""One of several: each image goes through one operation of a list, which one is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Gt

from sslkit.augmentations.batch import Images
from sslkit.augmentations.composition import Operations, Turn, without_crops
from sslkit.draws import Draw
from sslkit.errors import UserError


class OneOf:
    """Apply one operation of a list to each image.

    Args:
        operations: augmentations as in a recipe's list, with their own `p`, crops excepted; in Python the objects.
        weights: one number an operation; each is drawn in proportion to its own. By default all are as likely.

    Raises:
        UserError: there are more or fewer weights than operations, or an operation is a crop or none.
    """

    def __init__(self, *, operations: Operations, weights: tuple[Annotated[float, Gt(0)], ...] | None = None) -> None:
        self.operations = without_crops(operations)
        weights = weights or (1.0,) * len(operations)
        if len(weights) != len(operations):
            raise UserError(f"weights: must hold {len(operations)} values, one an operation, holds {len(weights)}.")
        self._ends = np.cumsum(weights) / sum(weights)

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) -> each through one of the operations."""
        images = np.ascontiguousarray(images)
        for operation, rows in self.turns(draw):
            images = operation.on(rows, images, draw)
        return images

    def turns(self, draw: Draw) -> Iterator[Turn]:
        """Each operation and the images that take it."""
        which = np.searchsorted(self._ends[:-1], draw.uniform(), side="right")  # (n,)
        for number, operation in enumerate(self.operations):
            yield Turn(operation, which == number)
