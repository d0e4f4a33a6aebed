"""Laws of the random crop: two ways to draw a box whose area and aspect ratio lie within bounds.

Each takes the images' sizes, a draw, and (low, high) of the box's share of the area and of its width / height, and gives one
box an image. Both try until a box fits; they differ in what is uniform, and in what is taken when no try fits.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64

from sslkit.augmentations.crop import Boxes, Sizes
from sslkit.draws import Draw

Law = Literal["torchvision", "tensorflow"]
Pairs = Float64[np.ndarray, "n 2"]
Numbers = Float64[np.ndarray, " n"]

LEAST_SHARE = 0.1  # of the image, in a box of TensorFlow's law: `min_object_covered` with the image as the object
_TORCHVISION_TRIES = 10
_TENSORFLOW_TRIES = 100


def torchvision(sizes: Sizes, draw: Draw, *, area: tuple[float, float], aspect: tuple[float, float]) -> Boxes:
    """The area is uniform, the aspect ratio log-uniform; if ten tries fail, the largest central box of an allowed aspect.

    With area A and ratio r, width = round(sqrt(A r)) and height = round(sqrt(A / r)); the place is uniform.
    """
    full = sizes.astype(np.float64)
    areas = full.prod(axis=1, keepdims=True) * draw.uniform(*area, size=_TORCHVISION_TRIES)  # (n, tries)
    ratios = np.exp(draw.uniform(*np.log(aspect), size=_TORCHVISION_TRIES))
    tried = np.rint(np.sqrt(np.stack([areas / ratios, areas * ratios], axis=2)))  # (n, tries, 2): height, width
    fits = ((tried >= 1) & (tried <= full[:, None])).all(axis=2)
    first = np.take_along_axis(tried, fits.argmax(axis=1)[:, None, None], axis=1)[:, 0]
    found = fits.any(axis=1, keepdims=True)
    box = np.where(found, first, _largest(full, aspect))  # (n, 2)
    place = np.where(found, np.floor(draw.uniform(size=2) * (full - box + 1)), (full - box) // 2)
    return np.concatenate([place, box], axis=1).astype(np.int64)


def _largest(full: Pairs, aspect: tuple[float, float]) -> Pairs:
    """The whole image, its longer side cut until the aspect ratio lies within bounds."""
    height, width = full.T
    low, high = aspect
    box = [np.minimum(height, np.rint(width / low)), np.minimum(width, np.rint(height * high))]
    return np.stack([np.maximum(side, 1) for side in box], axis=1)


def tensorflow(sizes: Sizes, draw: Draw, *, area: tuple[float, float], aspect: tuple[float, float]) -> Boxes:
    """The aspect ratio is uniform, then the height; no box is under a tenth of the image; if 100 tries fail, the whole image.

    This is `tf.image.sample_distorted_bounding_box` as the official code calls it: one object, which is the image, covered by
    at least 0.1. The top is uniform among the first (image height - box height) rows, the left likewise: a box smaller than
    the image never touches its lower or right edge. That looks like an error of the kernel's and is kept
    (tensorflow/core/kernels/image/sample_distorted_bounding_box_op.cc). It computes in float32, this in float64: they may
    round a tie to different sides.

    Nineteen of twenty photos get their box at the first try, so tries are drawn one by one, for those that still lack one.
    """
    full = sizes.astype(np.float64)
    box = full.copy()
    place = draw.uniform(size=2)
    lacking = np.arange(len(full))
    for _ in range(_TENSORFLOW_TRIES):
        tried, fits = _tensorflow_try(full[lacking], draw.uniform(*aspect), draw.uniform(), area)
        box[lacking[fits]] = tried[fits]
        lacking, draw = lacking[~fits], draw.rows(~fits)
        if not len(lacking):
            break
    return np.concatenate([np.floor(place * (full - box)), box], axis=1).astype(np.int64)


def _tensorflow_try(
    full: Pairs, ratio: Numbers, unit: Numbers, area: tuple[float, float]
) -> tuple[Pairs, Bool[np.ndarray, " n"]]:
    """One try for each image: height and width of a box, and whether it is taken."""
    pixels = full.prod(axis=1)
    least, most = area[0] * pixels, area[1] * pixels
    lowest, highest = np.rint(np.sqrt(least / ratio)), np.rint(np.sqrt(most / ratio))
    too_wide = np.rint(highest * ratio) > full[:, 1]
    highest = np.where(too_wide, np.floor((full[:, 1] + 0.5 - 1e-7) / ratio), highest)  # the highest whose width still fits
    highest = np.minimum(highest, full[:, 0])
    lowest = np.minimum(lowest, highest)
    height = lowest + np.floor(unit * (highest - lowest + 1))
    height += height * np.rint(height * ratio) < least  # rounding alone shall not make a try fail
    height -= height * np.rint(height * ratio) > most
    box = np.stack([height, np.rint(height * ratio)], axis=1)
    covered = box.prod(axis=1)
    within = (least <= covered) & (covered <= most) & (covered / pixels >= LEAST_SHARE)
    return box, within & (box <= full).all(axis=1)
