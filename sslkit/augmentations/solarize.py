"""Solarize: bright values become dark, as in a photo that has seen light while it was developed."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations import tone
from sslkit.augmentations.batch import Images
from sslkit.draws import Draw


class Solarize:
    """Give 1 - x where x >= threshold, and x elsewhere (BYOL, arXiv:2006.07733, appendix: image augmentations).

    BYOL solarizes a fifth of the second views and none of the first. SimCLR's broader set has it too (arXiv:2002.05709,
    appendix B.2), but no paper gives its parameters there. A threshold of 0.5 is 128 on the levels 0..255.

    Args:
        threshold: the lowest value that is inverted; 0 inverts all of them.
        p: the share of images that is solarized. Which ones is decided around this operation: it works on all it is given.
    """

    def __init__(self, *, threshold: Annotated[float, Ge(0), Le(1)] = 0.5, p: Annotated[float, Ge(0), Le(1)] = 0.2) -> None:
        self.p = p
        self.threshold = threshold

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing else is random
        """Images (n, h, w, c) in [0, 1] -> all of them solarized, in place."""
        images = np.ascontiguousarray(images)
        tone.solarize(images, np.full(len(images), float(self.threshold)))
        return images
