"""Gaussian blur: fine detail fades, by a different amount in each image."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Float32

from sslkit.augmentations.batch import BORDERS, Border, Images, cap
from sslkit.augmentations.interval import interval
from sslkit.draws import Draw


class GaussianBlur:
    """Convolve rows, then columns, with exp(-x^2 / (2 sigma^2)), normalised (arXiv:2002.05709, appendix A).

    The kernel reaches r = floor(floor(kernel * height) / 2) pixels either way: 23 taps at 224 pixels, 3 at 32.

    Where the sources differ: the paper says nothing of borders, the official code takes the outside for black, so that borders
    darken (`border="reflect"`: torchvision's way, they do not). The official code draws one sigma for a whole batch; here each
    image has its own, as in torchvision. Taps beyond 5 sigma, together less than a millionth, are left out.

    Args:
        p: the share of images that is blurred. Which ones is decided around this operation: it blurs all it is given.
        sigma: lowest and highest standard deviation, in pixels whatever the image's size.
        kernel: width of the kernel / height of the image.
        border: what lies outside of the image.

    Raises:
        UserError: `sigma` is not (low, high).
    """

    def __init__(
        self,
        *,
        p: Annotated[float, Ge(0), Le(1)] = 0.5,
        sigma: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.1, 2.0),
        kernel: Annotated[float, Gt(0), Le(1)] = 0.1,
        border: Border = "zero",
    ) -> None:
        self.p = p
        self.sigma = interval("sigma", sigma)
        self.kernel = kernel
        self.border = border

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them blurred, in place."""
        images = np.ascontiguousarray(images)
        radius = int(self.kernel * images.shape[1] + 1e-9) // 2
        sigmas = draw.uniform(*self.sigma)
        for image, sigma in zip(images, sigmas.tolist(), strict=True):
            weights = taps(sigma, radius)
            cv2.sepFilter2D(image, -1, weights, weights, dst=image, borderType=BORDERS[self.border])
        cap(images)
        return images


def taps(sigma: float, radius: int) -> Float32[np.ndarray, " taps"]:
    """The weights of a Gaussian at -r..r, with sum 1; r is `radius` or 5 sigma if that is less."""
    reach = min(radius, int(np.ceil(5 * sigma)))
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    normalised: Float32[np.ndarray, " taps"] = (weights / weights.sum()).astype(np.float32)
    return normalised
