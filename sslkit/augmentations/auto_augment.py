"""AutoAugment: for each image one of 25 pairs of operations, which were found by a search on ImageNet."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations.affine import Interpolation
from sslkit.augmentations.batch import Images
from sslkit.augmentations.magnitudes import distort, operations
from sslkit.draws import Draw

# (operation, probability, magnitude) twice; operations without an amount have no magnitude.
IMAGENET = (
    (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, None)),
    (("equalize", 0.8, None), ("equalize", 0.6, None)),
    (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
    (("equalize", 0.4, None), ("solarize", 0.2, 4)),
    (("equalize", 0.4, None), ("rotate", 0.8, 8)),
    (("solarize", 0.6, 3), ("equalize", 0.6, None)),
    (("posterize", 0.8, 5), ("equalize", 1.0, None)),
    (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
    (("equalize", 0.6, None), ("posterize", 0.4, 6)),
    (("rotate", 0.8, 8), ("color", 0.4, 0)),
    (("rotate", 0.4, 9), ("equalize", 0.6, None)),
    (("equalize", 0.0, None), ("equalize", 0.8, None)),
    (("invert", 0.6, None), ("equalize", 1.0, None)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("rotate", 0.8, 8), ("color", 1.0, 2)),
    (("color", 0.8, 8), ("solarize", 0.8, 7)),
    (("sharpness", 0.4, 7), ("invert", 0.6, None)),
    (("shear_x", 0.6, 5), ("equalize", 1.0, None)),
    (("color", 0.4, 0), ("equalize", 0.6, None)),
    (("equalize", 0.4, None), ("solarize", 0.2, 4)),
    (("solarize", 0.6, 5), ("autocontrast", 0.6, None)),
    (("invert", 0.6, None), ("equalize", 1.0, None)),
    (("color", 0.6, 4), ("contrast", 1.0, 8)),
    (("equalize", 0.8, None), ("equalize", 0.6, None)),
)
_LARGEST = 9  # of ten magnitudes, 0 to 9


class AutoAugment:
    """Draw one of 25 sub-policies, each equally likely, and do each of its two operations with its own probability.

    The policy is that found on ImageNet (arXiv:1805.09501, appendix). What magnitude m of 0..9 means, at level m / 9, stands in
    `sslkit.augmentations.magnitudes`. SimCLR compares with it (arXiv:2002.05709, table 1) and says nothing more of it.

    Where the sources differ: policy and magnitudes here are the paper's and torchvision's. TensorFlow's code for EfficientNet
    calls another list of 25 the paper's (`v0`: most with colour, equalize or solarize, two with brightening of dark values),
    takes levels m / 10, and fills with gray (`fill = 0.5`) where torchvision fills with black. Values are not rounded to 8 bits
    in between, but by posterize and equalize.

    Args:
        interpolation: of shear and rotation: the nearest pixel, as in the sources, or the mean of the four around.
        fill: what comes from outside of the image there, in all channels.
    """

    def __init__(self, *, interpolation: Interpolation = "nearest", fill: Annotated[float, Ge(0), Le(1)] = 0.0) -> None:
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> each distorted by a sub-policy of its own, in place."""
        images = np.ascontiguousarray(images)
        table = operations(
            height=images.shape[1], width=images.shape[2], interpolation=self.interpolation, fill=float(self.fill)
        )
        chosen = draw.integers(len(IMAGENET))
        for step in zip(*IMAGENET, strict=True):
            probabilities = np.array([probability for _, probability, _ in step])
            distort(
                images,
                table=table,
                choices=[(name, Fraction(magnitude or 0, _LARGEST)) for name, _, magnitude in step],
                chosen=chosen,
                rows=draw.uniform() < probabilities[chosen],
                negative=draw.chance(0.5),
            )
        return images
