"""Vertical flip: top and bottom change places."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class VerticalFlip:
    """Mirror images top to bottom, for images that have no up, as from a microscope or a satellite.

    The SimCLR paper (arXiv:2002.05709) does not use it; the share of one half is that of its horizontal flip.

    Args:
        p: the share of images that is flipped. Which ones is decided around this operation: it flips all it is given.
    """

    def __init__(self, *, p: Annotated[float, Ge(0), Le(1)] = 0.5) -> None:
        self.p = p

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing else is random
        """Images (n, h, w, c) -> all of them mirrored, in a new array."""
        return np.ascontiguousarray(images[:, ::-1])
