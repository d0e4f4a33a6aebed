"""Horizontal flip: left and right change places."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations.batch import Images, tall
from sslkit.draws import Draw


class HorizontalFlip:
    """Mirror images left to right (arXiv:2002.05709, appendix A).

    Args:
        p: the share of images that is flipped. Which ones is decided around this operation: it flips all it is given.
    """

    def __init__(self, *, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> None:
        self.p = p

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing else is random
        """Images (n, h, w, c) -> all of them mirrored, in place."""
        images = np.ascontiguousarray(images)
        if len(images):
            cv2.flip(tall(images), 1, dst=tall(images))  # row by row
        return images
