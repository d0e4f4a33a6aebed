"""RandAugment: a few operations drawn for each image, all of the same magnitude; no search."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations.affine import Interpolation
from sslkit.augmentations.batch import Images
from sslkit.augmentations.magnitudes import distort, operations
from sslkit.draws import Draw

OPERATIONS = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
_LARGEST = 30


class RandAugment:
    """Do `num_ops` operations one after the other, each drawn anew and uniformly from 14 (arXiv:1909.13719, section 3).

    What magnitude m of 0..30 means, at level m / 30, stands in `sslkit.augmentations.magnitudes`; signs are drawn anew too. An
    operation may come twice.

    Where the sources differ: the 14 operations are the paper's (figure 2) and torchvision's; the largest magnitude of 30 is
    torchvision's. The paper's text and TensorFlow's code take m / 10 for the level, so that the paper's 9 (ResNet-50 on
    ImageNet) is 27 here, and torchvision's default of 9 is the paper's 3; m up to 30 goes far beyond the table there.
    TensorFlow's code draws from 16 operations (invert, cutout and brightening of dark values too, but no identity), and fills
    with gray (`fill = 0.5`) where torchvision fills with black. Values are not rounded to 8 bits in between, but by posterize
    and equalize.

    Args:
        num_ops: how many, N of the paper.
        magnitude: of all of them, M of the paper on a scale of 30.
        interpolation: of shear, translation and rotation: the nearest pixel, as in the sources, or the mean of the four around.
        fill: what comes from outside of the image there, in all channels.
    """

    def __init__(
        self,
        *,
        num_ops: Annotated[int, Ge(1)] = 2,
        magnitude: Annotated[int, Ge(0), Le(30)] = 9,
        interpolation: Interpolation = "nearest",
        fill: Annotated[float, Ge(0), Le(1)] = 0.0,
    ) -> None:
        self.num_ops = num_ops
        self._choices = [(name, Fraction(magnitude, _LARGEST)) for name in OPERATIONS]
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> each distorted by operations of its own, in place."""
        images = np.ascontiguousarray(images)
        table = operations(
            height=images.shape[1], width=images.shape[2], interpolation=self.interpolation, fill=float(self.fill)
        )
        for _ in range(self.num_ops):
            distort(
                images,
                table=table,
                choices=self._choices,
                chosen=draw.integers(len(OPERATIONS)),
                rows=np.ones(len(images), dtype=bool),
                negative=draw.chance(0.5),
            )
        return images
