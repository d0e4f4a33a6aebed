"""The law of sharpness: less or more of the difference between an image and its smoothed copy."""

from __future__ import annotations

import cv2
import numpy as np

from sslkit.augmentations.batch import Amounts, Images, per_image, tall

_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / np.float32(13)


def sharpness(images: Images, factors: Amounts) -> None:
    """Give f x + (1 - f) smooth, in place, clipped to [0, 1]: 0 smooths, 1 does nothing, 2 sharpens.

    `smooth` is the mean of the 3 x 3 pixels around, in which the middle counts five times: the filter of PIL, TensorFlow's
    AutoAugment and torchvision. As in all three, the outermost pixels stay as they are; they also round to 8 bits in between.
    """
    if len(images) == 0 or min(images.shape[1:3]) <= 2:
        return
    smooth = cv2.filter2D(tall(images), -1, _SMOOTH).reshape(images.shape)  # only borders see a neighbouring image
    smooth *= per_image(1 - factors)
    inside = images[:, 1:-1, 1:-1]
    inside *= per_image(factors)
    inside += smooth[:, 1:-1, 1:-1]
    np.clip(inside, 0, 1, out=inside)
