"""Posterize: fewer shades, as on a poster printed from few inks."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations import tone
from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Posterize:
    """Keep the highest bits of every value: with step s = 2^(8 - bits), give s floor(level / s) / 255, level = rint(255 x).

    AutoAugment searches over 4 to 8 bits (arXiv:1805.09501, appendix). Of the operation on its own no paper gives its
    parameters; these are ours. The law is PIL's, TensorFlow's and torchvision's: values fall, by half a step on average, and
    white does not stay white.

    Args:
        bits: how many are kept; with 8, values are rounded to the levels of 8-bit images and no more.
    """

    def __init__(self, *, bits: Annotated[int, Ge(1), Le(8)] = 4) -> None:
        self.bits = bits

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing is random
        """Images (n, h, w, c) in [0, 1] -> all of them posterized, in place."""
        images = np.ascontiguousarray(images)
        tone.posterize(images, np.full(len(images), float(self.bits)))
        return images
