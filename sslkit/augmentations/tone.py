"""The laws of tone: invert, solarize, posterize, equalize and autocontrast change how bright a value is, not where it lies.

Every law takes a batch of images, where it has an amount with one an image, writes the result into the images and keeps them in
[0, 1]. Posterize and equalize are defined on the levels 0..255 of 8-bit images: they round to rint(255 x) first, and equal PIL
and torchvision there. An image comes out with the same bits whatever batch it is in: counts, minima and maxima are its own.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from sslkit.augmentations.batch import Amounts, Images, per_image


def invert(images: Images) -> None:
    """Give 1 - x."""
    np.subtract(1, images, out=images)


def solarize(images: Images, thresholds: Amounts) -> None:
    """Give 1 - x where x >= threshold."""
    reached = images >= per_image(thresholds)
    np.subtract(reached, images, out=images)  # 1 - x or -x
    np.abs(images, out=images)


def posterize(images: Images, bits: Amounts) -> None:
    """Keep the highest bits of each 8-bit level: with step s = 2^(8 - bits), give s floor(level / s)."""
    masks = (256 - 2.0 ** (8 - bits)).astype(np.uint8)
    _from_levels(_levels(images) & masks[:, None, None, None], images)


def equalize(images: Images) -> None:
    """Spread each channel's 8-bit levels, so that about as many pixels lie at each: PIL's law.

    Where `below` pixels lie under a level and `last` at the highest, its new level is floor((below + floor(s / 2)) / s), at
    most 255, with s = floor((pixels - last) / 255). A channel with s = 0, too small or too plain, stays as it is.
    """
    levels = _levels(images)
    tables, steps = _equalizing(_histograms(levels))
    for image, level, table, step in zip(images, levels, tables, steps, strict=True):
        new = cv2.LUT(level, table[None]).reshape(image.shape)
        if step.all():
            image[...] = new
        else:
            image[..., step > 0] = new[..., step > 0]


def autocontrast(images: Images) -> None:
    """Stretch each channel from its lowest and highest value to 0 and 1; a channel of one value stays as it is."""
    low = images.min(axis=1).min(axis=1)  # (n, c): rows first, which is many times faster than both at once
    width = images.max(axis=1).max(axis=1) - low
    low[width == 0] = 0
    width[width == 0] = 1
    images -= _along_rows(low, images)
    images /= _along_rows(width, images)


def _levels(images: Images) -> UInt8[np.ndarray, "n h w c"]:
    scaled = images * np.float32(255)
    levels: UInt8[np.ndarray, "n h w c"] = np.rint(scaled, out=scaled).astype(np.uint8)
    return levels


def _from_levels(levels: UInt8[np.ndarray, "n h w c"], images: Images) -> None:
    np.divide(levels, np.float32(255), out=images)


def _histograms(levels: UInt8[np.ndarray, "n h w c"]) -> Int64[np.ndarray, "n 256 c"]:
    counts = np.zeros((len(levels), 256, levels.shape[3]), dtype=np.int64)
    for image, count in zip(levels, counts, strict=True):
        for channel in range(levels.shape[3]):
            count[:, channel] = cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel()  # float32, exact below 2^24
    return counts


def _equalizing(counts: Int64[np.ndarray, "n 256 c"]) -> tuple[Float32[np.ndarray, "n 256 c"], Int64[np.ndarray, "n c"]]:
    """The new value of each level, and s of each channel, which is 0 where the table does not count."""
    up_to = counts.cumsum(axis=1)
    below = up_to - counts
    pixels = up_to[:, -1:]  # (n, 1, c)
    under_highest = np.where(up_to < pixels, up_to, 0).max(axis=1, keepdims=True)
    step = under_highest // 255
    new = np.minimum((below + step // 2) // np.maximum(step, 1), 255)
    return (new / 255).astype(np.float32), step[:, 0]


def _along_rows(values: Float32[np.ndarray, "n c"], images: Images) -> Float32[np.ndarray, "n 1 w c"]:
    """One value a channel, repeated along a row: whole rows are worked through several times faster."""
    return np.tile(values[:, None, None], (1, 1, images.shape[2], 1))
