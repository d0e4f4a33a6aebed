"""Motion blur: as if the camera had moved, by another length and in another direction for each image."""

from __future__ import annotations

import math
from typing import Annotated

import cv2
import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Float32, Float64

from sslkit.augmentations.batch import BORDERS, Border, Images, clip
from sslkit.augmentations.interval import interval
from sslkit.draws import Draw


class MotionBlur:
    """Replace each pixel by the mean of the image along a straight path, whose middle it is.

    The path has a length l and an angle a, and the mean is taken at m points, with bilinear interpolation between the pixels:
    x_j = t_j cos a and y_j = -t_j sin a, where t_j = l ((j + 1/2) / m - 1/2) for j = 0..m-1 and m = ceil(4 l). The kernel is so

        k(y, x) = 1/m sum_j max(0, 1 - |y - y_j|) max(0, 1 - |x - x_j|).

    l is uniform in [low, high] times the shorter side of the image, a in [0, 180) degrees. SimCLR's broader set has motion
    blur (arXiv:2002.05709, appendix B.2), but no paper gives its parameters; these are ours.

    Args:
        length: lowest and highest length of the path / shorter side of the image.
        border: what lies outside of the image: black, or the image mirrored.

    Raises:
        UserError: `length` is not (low, high), or above 1.
    """

    def __init__(
        self,
        *,
        length: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.02, 0.1),
        border: Border = "reflect",
    ) -> None:
        self.length = interval("length", length, at_most=1)
        self.border = border

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them blurred, in a new array."""
        images = np.ascontiguousarray(images)
        lengths = draw.uniform(*self.length) * min(images.shape[1:3])
        angles = draw.uniform(0, math.pi)
        blurred = np.empty_like(images)
        for image, length, angle, out in zip(images, lengths.tolist(), angles.tolist(), blurred, strict=True):
            cv2.filter2D(image, -1, path(length, angle), dst=out, borderType=BORDERS[self.border])
        clip(blurred)
        return blurred


def path(length: float, angle: float) -> Float32[np.ndarray, "rows columns"]:
    """The kernel of a path of so many pixels at an angle in radians; its sum is 1, and it is only as large as need be."""
    points = math.ceil(4 * length)
    t = length * ((np.arange(points) + 0.5) / points - 0.5)
    rows, columns = _shares(-t * math.sin(angle)), _shares(t * math.cos(angle))
    kernel: Float32[np.ndarray, "rows columns"] = np.einsum("rm,cm->rc", rows, columns / points).astype(np.float32)
    return kernel


def _shares(positions: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, "taps m"]:
    """How much of each point goes to each of the pixels -r..r, along one axis."""
    reach = math.ceil(np.abs(positions).max())
    pixels = np.arange(-reach, reach + 1)[:, None]  # (taps, 1)
    return np.maximum(0, 1 - np.abs(pixels - positions))
