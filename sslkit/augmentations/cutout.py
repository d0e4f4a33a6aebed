"""Cutout: a square of the image is painted over."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Cutout:
    """Paint a square over, centred on a pixel drawn uniformly from the whole image (arXiv:1708.04552, section 3.2).

    As there, a centre close to the border leaves a part of the square outside, so that less than a square is painted. With
    side s = max(1, round(size * shorter side)) and centre (y, x), it covers rows y - floor(s / 2) up to, but without,
    y - floor(s / 2) + s, and columns likewise.

    The size of one half is that paper's 16 of 32 pixels for CIFAR-10. It paints on images whose mean was taken off, and so
    with gray; here 0 is black, and 0.5 comes close to what it did. SimCLR's ablation has cutout (arXiv:2002.05709, Fig. 5),
    but no paper gives its parameters; these are ours.

    Args:
        size: side of the square / shorter side of the image.
        fill: the value painted, the same in all channels.
    """

    def __init__(self, *, size: Annotated[float, Gt(0), Le(1)] = 0.5, fill: Annotated[float, Ge(0), Le(1)] = 0.0) -> None:
        self.size = size
        self.fill = fill

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them with a square painted over, in place."""
        images = np.ascontiguousarray(images)
        h, w = images.shape[1:3]
        side = max(1, round(self.size * min(h, w)))
        tops = draw.integers(h) - side // 2
        lefts = draw.integers(w) - side // 2
        for image, top, left in zip(images, tops.tolist(), lefts.tolist(), strict=True):  # a mask of all images is slower
            image[max(0, top) : top + side, max(0, left) : left + side] = self.fill
        return images
