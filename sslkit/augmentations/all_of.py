"""All of several: each image goes through a list of operations, perhaps in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from sslkit.augmentations.batch import Images
from sslkit.augmentations.composition import Operations, Turn, without_crops
from sslkit.draws import Draw


class AllOf:
    """Apply a list of operations as one: with a `p` of its own, and in an order drawn for each image if wanted.

    Args:
        operations: augmentations as in a recipe's list, with their own `p`, crops excepted; in Python the objects.
        in_order: as given, or a random permutation for each image.

    Raises:
        UserError: an operation is a crop or none.
    """

    def __init__(self, *, operations: Operations, in_order: Literal["given", "random"] = "given") -> None:
        self.operations = without_crops(operations)
        self.in_order = in_order

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) -> each through all of the operations."""
        images = np.ascontiguousarray(images)
        for operation, rows in self.turns(draw):
            images = operation.on(rows, images, draw)
        return images

    def turns(self, draw: Draw) -> Iterator[Turn]:
        """Each operation and the images whose turn it is, one place of their orders after the other."""
        number = len(self.operations)
        place = np.tile(np.arange(number), (len(draw), 1))  # (n, number): the place of each operation in an image's order
        if self.in_order == "random":
            place = draw.permutation(number)
        for now in range(number):
            for operation, at in zip(self.operations, place.T, strict=True):
                yield Turn(operation, at == now)
