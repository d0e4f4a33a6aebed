"""Equalize: about as many pixels at each brightness, so that an image's own exposure and tint are gone."""

from __future__ import annotations

import numpy as np

from sslkit.augmentations import tone
from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Equalize:
    """Map each channel's 8-bit levels, rint(255 x), to their rank among its pixels: PIL's law.

    With `below` pixels under a level and `last` at the highest, the new level is floor((below + floor(s / 2)) / s), 255 at
    most, where s = floor((pixels - last) / 255). A channel with s = 0, too small or too plain, stays as it is.

    One of AutoAugment's operations (arXiv:1805.09501, appendix) and of SimCLR's broader set (arXiv:2002.05709, appendix B.2),
    which does not say more of it. The law has no parameters, and is the same in PIL, TensorFlow's AutoAugment and torchvision.
    """

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing is random
        """Images (n, h, w, c) in [0, 1] -> all of them equalized, in place."""
        images = np.ascontiguousarray(images)
        tone.equalize(images)
        return images
