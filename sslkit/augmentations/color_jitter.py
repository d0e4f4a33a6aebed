"""Colour jitter: brightness, contrast, saturation and hue change by amounts of each image's own, in an order of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Bool

from sslkit.augmentations import color
from sslkit.augmentations.batch import Amounts, Images, apply_to
from sslkit.draws import Draw

_BRIGHTNESS = {"multiply": color.multiply_brightness, "add": color.add_brightness}
_CONTRAST = {"tensorflow": color.contrast_by_channel, "torchvision": color.contrast_by_luma}
_SATURATION = {"tensorflow": color.saturation_in_hsv, "torchvision": color.saturation_by_luma}

Law = Literal["tensorflow", "torchvision"]
Order = Literal["random", "fixed"]
Brightness = Literal["multiply", "add"]


class ColorJitter:
    """Change brightness, contrast, saturation and hue (arXiv:2002.05709, appendix A), each followed by a clip to [0, 1].

    With amount a, brightness, contrast and saturation change by a factor uniform in [max(0, 1 - a), 1 + a]; the hue turns by a
    part of the circle uniform in [-a, a]. The defaults are those of the paper at strength 1; `color_distortion` scales them.
    Laws, order and brightness differ between the sources as told there.

    Args:
        brightness: amount; with `brightness_law = "add"` a number uniform in [-a, a] is added instead.
        contrast: amount.
        saturation: amount.
        hue: amount, at most half of the circle.
        p: the share of images that is jittered. Which ones is decided around this operation: it works on all it is given.
        law: whose formulas of contrast and saturation.
        order: of the four changes: drawn for each image, or brightness, contrast, saturation, hue.
        brightness_law: multiplied by a factor, or a number added.
    """

    def __init__(
        self,
        *,
        brightness: Annotated[float, Ge(0)] = 0.8,
        contrast: Annotated[float, Ge(0)] = 0.8,
        saturation: Annotated[float, Ge(0)] = 0.8,
        hue: Annotated[float, Ge(0), Le(0.5)] = 0.2,
        p: Annotated[float, Ge(0), Le(1)] = 0.8,
        law: Law = "tensorflow",
        order: Order = "random",
        brightness_law: Brightness = "multiply",
    ) -> None:
        self.p = p
        self.order = order
        self._laws: list[Callable[..., None]] = [_BRIGHTNESS[brightness_law], _CONTRAST[law], _SATURATION[law], color.hue]
        bounds = _factors(brightness) if brightness_law == "multiply" else (-brightness, brightness)
        self._bounds = [bounds, _factors(contrast), _factors(saturation), (-hue, hue)]
        self._in_hsv = law == "tensorflow"

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them jittered, in place; those of one channel have no colour to change."""
        images = np.ascontiguousarray(images)
        self.jitter(images, draw, rows=np.ones(len(images), dtype=bool))
        return images

    def jitter(self, images: Images, draw: Draw, *, rows: Bool[np.ndarray, " n"]) -> None:
        """Jitter some of the images in place; numbers are drawn for all of them."""
        place = draw.permutation(4)  # (n, 4): the place of each change in an image's order
        amounts = [draw.uniform(low, high) for low, high in self._bounds]
        laws: list[tuple[Callable[..., None], list[Amounts]]] = [
            (law, [of]) for law, of in zip(self._laws, amounts, strict=True)
        ]
        order = np.argsort(place, axis=1) if self.order == "random" else np.tile(np.arange(4), (len(place), 1))  # (n, 4)
        if self._in_hsv:
            laws.append((color.saturation_and_hue_in_hsv, amounts[2:]))
            together = order[:, :-1] + order[:, 1:] == 2 + 3  # saturation and hue, one after the other
            order[:, :-1][together], order[:, 1:][together] = 4, -1
        order[~rows] = -1
        for now in order.T:
            for change in {*now.tolist()} - {-1}:
                law, of_law = laws[change]
                apply_to(now == change, law, images, *of_law)


def _factors(amount: float) -> tuple[float, float]:
    return max(0.0, 1 - amount), 1 + amount
