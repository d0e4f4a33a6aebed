"""Colour jitter: brightness, contrast, saturation and hue change by amounts of each image's own, in an order of its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Bool, Int8

from sslkit.augmentations import color
from sslkit.augmentations.batch import Images, apply_to
from sslkit.draws import Draw

_BRIGHTNESS = {"multiply": color.multiply_brightness, "add": color.add_brightness}
_CONTRAST = {"tensorflow": color.contrast_by_channel, "torchvision": color.contrast_by_luma}
_SATURATION = {"tensorflow": color.saturation_in_hsv, "torchvision": color.saturation_by_luma}

_SATURATION_AND_HUE, _NOTHING = 4, -1  # in an order, beside the number of a change
_DIGITS = 4 ** np.arange(4)

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
        bounds = _factors(brightness) if brightness_law == "multiply" else (-brightness, brightness)
        self._low, self._high = np.array([bounds, _factors(contrast), _factors(saturation), (-hue, hue)]).T  # (4,) each
        self._laws: list[Callable[..., None]] = [_BRIGHTNESS[brightness_law], _CONTRAST[law], _SATURATION[law], color.hue]
        if law == "tensorflow":
            self._laws.append(color.saturation_and_hue_in_hsv)
        self._plans = _plans(order, len(self._laws))

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them jittered, in place; those of one channel have no colour to change."""
        images = np.ascontiguousarray(images)
        self.jitter(images, draw, rows=np.ones(len(images), dtype=bool))
        return images

    def jitter(self, images: Images, draw: Draw, *, rows: Bool[np.ndarray, " n"]) -> None:
        """Jitter some of the images in place; numbers are drawn for all of them."""
        plan = self._plans[draw.permutation(4) @ _DIGITS]  # (n, 4)
        plan[~rows] = _NOTHING
        amounts = (self._low + (self._high - self._low) * draw.uniform(size=4)).T  # (4, n)
        for now in plan.T:
            for change in {*now.tolist()} - {_NOTHING}:
                of_law = amounts[2:] if change == _SATURATION_AND_HUE else amounts[change : change + 1]
                apply_to(now == change, self._laws[change], images, *of_law)


def _plans(order: Order, num_laws: int) -> Int8[np.ndarray, "256 4"]:
    """What is done first, second, third and fourth to an image, for each permutation of places, read as digits of base 4.

    Where there is a law of saturation and hue together, it stands for one that follows the other.
    """
    plans = np.full((256, 4), _NOTHING, dtype=np.int8)
    for place in permutations(range(4)):
        plan = np.argsort(place) if order == "random" else np.arange(4)
        first, second = np.flatnonzero(plan >= 2)  # saturation and hue, in either order
        if num_laws > _SATURATION_AND_HUE and second == first + 1:
            plan[first], plan[second] = _SATURATION_AND_HUE, _NOTHING
        plans[place @ _DIGITS] = plan
    return plans


def _factors(amount: float) -> tuple[float, float]:
    return max(0.0, 1 - amount), 1 + amount
