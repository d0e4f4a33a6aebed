"""Autocontrast: each channel's darkest value becomes 0, its brightest 1."""

from __future__ import annotations

import numpy as np

from sslkit.augmentations import tone
from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Autocontrast:
    """Give (x - low) / (high - low), with the lowest and highest value of each channel (arXiv:1805.09501, appendix).

    A channel of one value stays as it is. PIL, TensorFlow's AutoAugment and torchvision cut the result down to a whole level of
    0..255 on 8-bit images; here it keeps its fraction, and is less than one level brighter. The law has no parameters: PIL's
    `cutoff` is 0 there too.
    """

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing is random
        """Images (n, h, w, c) in [0, 1] -> all of them stretched, in place."""
        images = np.ascontiguousarray(images)
        tone.autocontrast(images)
        return images
