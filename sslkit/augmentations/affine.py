"""The laws of place: shear, translate and rotate move pixels along straight lines.

Every law takes a batch of images with one amount an image and writes the result into the images. The value at a place of the
result is read off the image at the place where it came from: `nearest` takes the pixel there, `bilinear` the mean of the four
around it; what came from outside is `fill`. Places are measured in pixels from the top left corner, so that the middle of the
first pixel is (0.5, 0.5). The signs are those of torchvision.

OpenCV before 5 rounds the place to 1/32 pixel when bilinear.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float64

from sslkit.augmentations.batch import Amounts, Images

Interpolation = Literal["nearest", "bilinear"]

_INTERPOLATIONS = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR}

Matrix = Float64[np.ndarray, "2 3"]  # from a place of the result to the place where it came from


def shear_x(images: Images, slopes: Amounts, *, interpolation: Interpolation, fill: float) -> None:
    """Take (x, y) from (x + slope y, y): rows slide sideways, the top one stays."""
    _move(images, (np.array([[1, slope, 0], [0, 1, 0]]) for slope in slopes), interpolation, fill)


def shear_y(images: Images, slopes: Amounts, *, interpolation: Interpolation, fill: float) -> None:
    """Take (x, y) from (x, y + slope x): columns slide up or down, the left one stays."""
    _move(images, (np.array([[1, 0, 0], [slope, 1, 0]]) for slope in slopes), interpolation, fill)


def translate_x(images: Images, pixels: Amounts, *, interpolation: Interpolation, fill: float) -> None:
    """Take (x, y) from (x - pixels, y): to the right."""
    _move(images, (np.array([[1, 0, -shift], [0, 1, 0]]) for shift in pixels), interpolation, fill)


def translate_y(images: Images, pixels: Amounts, *, interpolation: Interpolation, fill: float) -> None:
    """Take (x, y) from (x, y - pixels): down."""
    _move(images, (np.array([[1, 0, 0], [0, 1, -shift]]) for shift in pixels), interpolation, fill)


def rotate(images: Images, degrees: Amounts, *, interpolation: Interpolation, fill: float) -> None:
    """Turn about the centre, counter-clockwise."""
    centre = np.array([images.shape[2] / 2, images.shape[1] / 2])
    _move(images, (_rotation(angle, centre) for angle in np.radians(degrees)), interpolation, fill)


def _rotation(angle: float, centre: Float64[np.ndarray, "2"]) -> Matrix:
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, centre - turn @ centre])


def _move(images: Images, matrices: Iterable[Matrix], interpolation: Interpolation, fill: float) -> None:
    x, y = (np.arange(side) + 0.5 for side in images.shape[2:0:-1])
    for image, matrix in zip(images, matrices, strict=True):
        source_x, source_y = (np.add.outer(b * y + t - 0.5, a * x).astype(np.float32) for a, b, t in matrix)  # (h, w)
        moved = cv2.remap(
            image,
            source_x,
            source_y,
            _INTERPOLATIONS[interpolation],
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(fill,) * 4,
        )
        np.clip(moved.reshape(image.shape), 0, 1, out=image)
