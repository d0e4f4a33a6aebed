"""Colour distortion: without it, two crops of one photo give themselves away by their colours."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit.augmentations import color
from sslkit.augmentations.batch import Images, apply_to
from sslkit.augmentations.color_jitter import Brightness, ColorJitter, Law, Order
from sslkit.draws import Draw


class ColorDistortion:
    """Colour jitter for most images, then grayscale for some (arXiv:2002.05709, appendix A).

    With strength s, the jitter changes brightness, contrast and saturation by factors uniform in
    [max(0, 1 - 0.8 s), 1 + 0.8 s] and turns the hue by up to 0.2 s of the circle (at most half of it) either way, in an
    order drawn for each image, each followed by a clip to [0, 1]. Grayscale is independent of the jitter.

    Where the sources differ: the paper's listing has the order fixed (`order="fixed"`) and clips once, at the end; its text
    allows a random order, which the official code draws. TensorFlow, in which all of the paper's results were made, and
    torchvision, whose ColorJitter the paper offers as equivalent, give contrast and saturation different formulas
    (`law="torchvision"`). The code multiplies brightness only since June 2020; before, and in the paper's TensorFlow listing,
    it added a number uniform in [-0.8 s, 0.8 s], which is much harsher (`brightness="add"`). Negative lower bounds
    (s > 1.25), which TensorFlow refuses, are 0 here. Strength 0 leaves the grayscale on, as in the first official code;
    the second switches that off too (`gray_p = 0`).

    Args:
        strength: s; 1 for ImageNet, 0.5 for CIFAR-10.
        jitter_p: share of images that are jittered.
        gray_p: share of images that become gray.
        law: whose contrast and saturation.
        order: of the four changes: drawn for each image, or brightness, contrast, saturation, hue.
        brightness: multiplied by a factor, or a number added.
    """

    def __init__(
        self,
        *,
        strength: Annotated[float, Ge(0)] = 1.0,
        jitter_p: Annotated[float, Ge(0), Le(1)] = 0.8,
        gray_p: Annotated[float, Ge(0), Le(1)] = 0.2,
        law: Law = "tensorflow",
        order: Order = "random",
        brightness: Brightness = "multiply",
    ) -> None:
        self.jitter_p = jitter_p if strength > 0 else 0.0
        self.gray_p = gray_p
        changes = 0.8 * strength
        self._jitter = ColorJitter(
            brightness=changes,
            contrast=changes,
            saturation=changes,
            hue=min(0.2 * strength, 0.5),
            law=law,
            order=order,
            brightness_law=brightness,
        )

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> distorted, in place; images of one channel have no colour to change."""
        images = np.ascontiguousarray(images)
        self._jitter.jitter(images, draw, rows=draw.chance(self.jitter_p))
        apply_to(draw.chance(self.gray_p), color.grayscale, images)
        return images
