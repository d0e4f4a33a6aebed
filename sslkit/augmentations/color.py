"""The laws of colour: brightness, contrast, saturation, hue and grayscale, each by TensorFlow's or torchvision's formula.

Every law takes a batch of images with one amount an image, writes the result into the images and keeps them in [0, 1]. Laws
that mix channels leave images of one channel as they are. An image comes out with the same bits whatever batch it is in: sums
are taken image by image, everything else pixel by pixel. (`cv2.transform`, which could write the luma into three channels at
once, does not keep that.)

Luma is 0.2989 R + 0.587 G + 0.114 B in both libraries.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float64

from sslkit.augmentations.batch import Amounts, Images, cap, clip, per_image, tall

_LUMA = np.array([[0.2989, 0.587, 0.114]], dtype=np.float32)


def multiply_brightness(images: Images, factors: Amounts) -> None:
    """Multiply by f: torchvision's brightness, and the official code's since June 2020."""
    images *= per_image(factors)
    cap(images)


def add_brightness(images: Images, offsets: Amounts) -> None:
    """Add d: TensorFlow's brightness, and the official code's until June 2020."""
    images += per_image(offsets)
    clip(images)


def contrast_by_channel(images: Images, factors: Amounts) -> None:
    """Give f (x - m) + m, with the mean m of each channel: TensorFlow's contrast."""
    _stretch(images, factors, _channel_means(images))


def contrast_by_luma(images: Images, factors: Amounts) -> None:
    """Give f (x - m) + m, with the mean m of the luma, one number an image: torchvision's contrast."""
    means = _channel_means(images)
    if images.shape[3] == 3:
        means = np.repeat(luma(means)[:, None], 3, axis=1)
    _stretch(images, factors, means)


def saturation_in_hsv(images: Images, factors: Amounts) -> None:
    """Multiply S of HSV by f and clip it at 1: TensorFlow's saturation."""
    if images.shape[3] == 1:
        return
    hsv = _to_hsv(images)
    _saturate(hsv, factors)
    _from_hsv(hsv, images)


def saturation_by_luma(images: Images, factors: Amounts) -> None:
    """Give f x + (1 - f) luma: torchvision's saturation."""
    if images.shape[3] == 1:
        return
    gray = luma(images) * per_image(1 - factors)[..., 0]
    images *= per_image(factors)
    for channel in range(3):
        images[..., channel] += gray
    clip(images)


def hue(images: Images, turns: Amounts) -> None:
    """Turn H of HSV by a fraction of the circle: the same in both libraries."""
    if images.shape[3] == 1:
        return
    hsv = _to_hsv(images)
    _turn(hsv, turns)
    _from_hsv(hsv, images)


def saturation_and_hue_in_hsv(images: Images, factors: Amounts, turns: Amounts) -> None:
    """Change S, then H, or the other way round, which is the same, without going through RGB between them."""
    if images.shape[3] == 1:
        return
    hsv = _to_hsv(images)
    _saturate(hsv, factors)
    _turn(hsv, turns)
    _from_hsv(hsv, images)


def grayscale(images: Images) -> None:
    """Put the luma into all three channels: the same in both libraries."""
    if images.shape[3] == 1:
        return
    for image in images:  # one by one, for OpenCV sums a long row of pixels in another order than a short one
        cv2.cvtColor(cv2.transform(image, _LUMA), cv2.COLOR_GRAY2RGB, dst=image)


def luma(colors: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape"]:
    """The brightness that the eye sees in a colour: (..., 3) -> (...)."""
    gray: Float[np.ndarray, "*shape"] = 0.2989 * colors[..., 0] + 0.587 * colors[..., 1] + 0.114 * colors[..., 2]
    return gray


def _channel_means(images: Images) -> Float64[np.ndarray, "n c"]:
    """Summed in float64 and image by image, so that the batch does not matter."""
    return np.array([cv2.mean(image)[: image.shape[2]] for image in images])


def _stretch(images: Images, factors: Amounts, means: Float64[np.ndarray, "n c"]) -> None:
    shift = (means * (1 - factors)[:, None]).astype(np.float32)[:, None, None]
    images *= per_image(factors)
    rows = np.empty((len(images), 1, *images.shape[2:]), dtype=np.float32)  # whole rows are added several times faster
    rows[:] = shift
    images += rows
    clip(images)


def _saturate(hsv: Images, factors: Amounts) -> None:
    saturation = hsv[..., 1]
    saturation *= per_image(factors)[..., 0]
    if (factors > 1).any():
        np.clip(saturation, 0, 1, out=saturation)


def _turn(hsv: Images, turns: Amounts) -> None:
    degrees = hsv[..., 0]
    degrees += per_image(360 * np.mod(turns, 1))[..., 0]  # never below 0: OpenCV wraps at 360 only


def _to_hsv(images: Images) -> Images:
    hsv: Images = cv2.cvtColor(tall(images), cv2.COLOR_RGB2HSV).reshape(images.shape)  # H in degrees
    return hsv


def _from_hsv(hsv: Images, images: Images) -> None:
    cv2.cvtColor(tall(hsv), cv2.COLOR_HSV2RGB, dst=tall(images))
