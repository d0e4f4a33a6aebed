"""All of several: each image goes through a list of operations, perhaps in an order of its own."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sslkit.augmentations.batch import Images
from sslkit.augmentations.composition import Operations, without_crops
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
        number = len(self.operations)
        place = np.tile(np.arange(number), (len(images), 1))  # (n, number): the place of each operation in an image's order
        if self.in_order == "random":
            place = draw.permutation(number)
        for now in range(number):
            for operation, at in zip(self.operations, place.T, strict=True):
                images = operation.on(at == now, images, draw)
        return images
