"""Grayscale: the colour is dropped, the channels stay."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations import color
from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Grayscale:
    """Put the luma, 0.2989 R + 0.587 G + 0.114 B, into all channels: "colour drop" (arXiv:2002.05709, appendix A).

    Args:
        p: the share of images that becomes gray. Which ones is decided around this operation: it works on all it is given.
    """

    def __init__(self, *, p: Annotated[float, Ge(0), Le(1)] = 0.2) -> None:
        self.p = p

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing else is random
        """Images (n, h, w, c) in [0, 1] -> all of them gray, in place; images of one channel stay as they are."""
        images = np.ascontiguousarray(images)
        color.grayscale(images)
        return images
