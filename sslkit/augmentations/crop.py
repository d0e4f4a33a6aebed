"""Crops: cut a box out of each uint8 image and resize all of them to one square size.

This is the part that every crop shares; a crop of its own decides only where the boxes lie. OpenCV resizes, with half-pixel
centres, no antialiasing and, for "bicubic", the cubic of Keys with a = -0.75. TensorFlow's present resize takes a = -0.5, its
first one a = -0.75 with other coordinates; torchvision filters before it shrinks, which "area" comes nearest to. The resized
values are rounded to whole multiples of 1/255 and so clipped to [0, 1], as PIL does it; the official code keeps fractions.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

Interpolation = Literal["bilinear", "bicubic", "area"]

_FLAGS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}

Sizes = Int64[np.ndarray, "n 2"]
Boxes = Int64[np.ndarray, "n 4"]
Photos = list[UInt8[np.ndarray, "_ _ c"]]


def cut(
    images: Photos, boxes: Boxes, *, size: int, interpolation: Interpolation, out: Float32[np.ndarray, "n s s c"] | None = None
) -> Float32[np.ndarray, "n {size} {size} c"]:
    """Cut one box out of each image and resize it to `size` by `size` pixels.

    Args:
        images: n uint8 images (height, width, c) of any sizes, c equal for all.
        boxes: top, left, height and width of a box in pixels; it lies within its image.
        size: side of the result in pixels.
        interpolation: "bilinear" and "bicubic" look at the 2x2 or 4x4 nearest pixels, also where they shrink; "area" takes
            the mean of all pixels that fall into the new one; where it enlarges it interpolates linearly.
        out: memory for the result.

    Returns:
        float32 in [0, 1].
    """
    assert len(images) == len(boxes) > 0, f"{len(images)} images, {len(boxes)} boxes"
    resized = np.empty((len(images), size, size, images[0].shape[2]), dtype=np.uint8)
    flag = _FLAGS[interpolation]
    for image, (top, left, height, width), small in zip(images, boxes.tolist(), resized, strict=True):
        cv2.resize(image[top : top + height, left : left + width], (size, size), dst=small, interpolation=flag)
    scaled: Float32[np.ndarray, "..."] = np.divide(resized, np.float32(255), out=out, dtype=np.float32)
    return scaled
