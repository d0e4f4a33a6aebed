"""A batch of images: its type, and what operations do with all of it at once."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

Images = Float32[np.ndarray, "n h w c"]
Amounts = Float64[np.ndarray, " n"]


def per_image(amounts: Amounts) -> Float32[np.ndarray, "n 1 1 1"]:
    """One amount an image, in a form that multiplies or adds to all of its pixels."""
    column: Float32[np.ndarray, "n 1 1 1"] = amounts.astype(np.float32)[:, None, None, None]
    return column


def tall(images: Images) -> Float32[np.ndarray, "rows w c"]:
    """The same memory as one tall image, which OpenCV works through row by row."""
    assert images.flags.c_contiguous, "what is written into a tall image has to reach the images, which must lie in one piece"
    n, h, w, c = images.shape
    return images.reshape(n * h, w, c)


def clip(images: Images) -> None:
    """Keep values in [0, 1]; in two passes, each of which OpenCV makes four times as fast as numpy its one."""
    pixels = tall(images)
    if pixels.size:
        cv2.threshold(pixels, 1, 1, cv2.THRESH_TRUNC, dst=pixels)
        cv2.threshold(pixels, 0, 0, cv2.THRESH_TOZERO, dst=pixels)


def apply_to(rows: Bool[np.ndarray, " n"], law: Callable[..., None], images: Images, *amounts: Amounts) -> None:
    """Apply a law, which writes into its images, to some of them, all of those at once.

    Args:
        rows: which images.
        law: called with the images and their amounts.
        images: all of them; the others stay as they are.
        amounts: one number an image each.
    """
    if not rows.any():
        return
    if rows.all():  # a large image comes alone, and copying it would cost more than the law
        law(images, *amounts)
        return
    chosen = images[rows]
    law(chosen, *(amount[rows] for amount in amounts))
    images[rows] = chosen
