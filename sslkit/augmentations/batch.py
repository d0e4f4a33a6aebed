"""A batch of images: its type, and what operations do with all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

Images = Float32[np.ndarray, "n h w c"]
Amounts = Float64[np.ndarray, " n"]

Border = Literal["zero", "reflect"]  # what a filter sees outside of an image: black, or the image mirrored
BORDERS = {"zero": cv2.BORDER_CONSTANT, "reflect": cv2.BORDER_REFLECT_101}


def per_image(amounts: Amounts) -> Float32[np.ndarray, "n 1 1 1"]:
    """One amount an image, in a form that multiplies or adds to all of its pixels."""
    column: Float32[np.ndarray, "n 1 1 1"] = amounts.astype(np.float32)[:, None, None, None]
    return column


def tall(images: Images) -> Float32[np.ndarray, "rows w c"]:
    """The same memory as one tall image, which OpenCV works through row by row."""
    assert images.flags.c_contiguous, "what is written into a tall image has to reach the images, which must lie in one piece"
    n, h, w, c = images.shape
    return images.reshape(n * h, w, c)


def cap(images: Images) -> None:
    """Keep values that can't be negative in [0, 1]."""
    pixels = tall(images)
    if pixels.size:
        cv2.threshold(pixels, 1, 1, cv2.THRESH_TRUNC, dst=pixels)


def clip(images: Images) -> None:
    """Keep values in [0, 1]."""
    cap(images)
    pixels = tall(images)
    if pixels.size:
        cv2.threshold(pixels, 0, 0, cv2.THRESH_TOZERO, dst=pixels)


def on_rows(rows: Bool[np.ndarray, " n"], images: Images, function: Callable[[Images], Images]) -> Images:
    """Put what a function makes of some of the images in their place; a large image comes alone and is not copied."""
    chosen = np.count_nonzero(rows)
    if chosen == 0:
        return images
    if chosen == len(rows):
        return function(images)
    images[rows] = function(images[rows])
    return images


def apply_to(rows: Bool[np.ndarray, " n"], law: Callable[..., None], images: Images, *amounts: Amounts) -> None:
    """Apply a law, which writes into its images, to some of them, all of those at once.

    Args:
        rows: which images.
        law: called with the images and their amounts.
        images: all of them; the others stay as they are.
        amounts: one number an image each.
    """
    chosen = np.count_nonzero(rows)
    if 0 < chosen == len(rows):
        law(images, *amounts)
    elif chosen:
        some = images[rows]
        law(some, *(amount[rows] for amount in amounts))
        images[rows] = some
