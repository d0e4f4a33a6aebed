"""Augmentations and crops that break one promise each."""

from typing import ClassVar

import cv2
import numpy as np
from badness import Bads

bad = Bads("augmentations")


@bad("form_is_kept", "it is float64.")
class GivesDoubles:
    """Negates the images, in float64."""

    def __call__(self, images, draw):
        return 1.0 - images.astype(np.float64)


@bad("form_is_kept", "c = 1: IndexError")
class TakesColourForGranted:
    """Exchanges red and blue, whether there are any or not."""

    def __call__(self, images, draw):
        return images[..., [2, 1, 0]]


@bad(
    "form_is_kept",
    "c = 1: (9, 31, 32, 1) instead of (9, 32, 32, 1).",
    also={"no_image_is_fine": "it compares the form too"},
)
class LosesARow:
    """Takes the difference of each row to the next, with a row less."""

    def __call__(self, images, draw):
        return np.abs(np.diff(images, axis=1))


@bad("values_stay_in_range", "the largest is 1.")
class Brightens:
    """Makes the images brighter by up to a fifth, and does not clip them."""

    def __call__(self, images, draw):
        return images * draw.uniform(1.0, 1.2).astype(np.float32)[:, None, None, None]


@bad(
    "values_stay_in_range",
    "some are not finite.",
    also=dict.fromkeys(("same_address_same_view", "batch_does_not_matter"), "what is not a number equals nothing"),
)
class DividesByTheMean:
    """Divides each image by its mean, also a black one."""

    last: ClassVar[bool] = True

    def __call__(self, images, draw):
        with np.errstate(invalid="ignore"):
            return images / images.mean(axis=(1, 2, 3), keepdims=True)


@bad("same_address_same_view", "the same object gave another view when it was called again.")
class BecomesWeaker:
    """Negates the images, with each call a little less."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images, draw):
        self.calls += 1
        return 1 - images / self.calls


@bad(
    "same_address_same_view",
    "built anew, it gave another view.",
    also={"batch_does_not_matter": "chance that is not the draw's is not the image's"},
)
class AnotherChance:
    """Makes the images darker by numbers that numpy draws."""

    def __call__(self, images, draw):
        return images * np.random.default_rng().random((len(images), 1, 1, 1), dtype=np.float32)


@bad("batch_does_not_matter", "look otherwise than in the whole batch.")
class OneNumberForAll:
    """Makes all images darker by the number of the first."""

    def __call__(self, images, draw):
        strength = draw.uniform(0.5, 1.0).astype(np.float32)
        return images * strength[:1, None, None, None] if len(images) else images


@bad("batch_does_not_matter", "images [8, 7, 6, 5, 4, 3, 2, 1, 0] look otherwise")
class PlaceInTheBatch:
    """Makes images darker, the later they stand in the batch."""

    def __call__(self, images, draw):
        return images / np.arange(1, len(images) + 1, dtype=np.float32)[:, None, None, None]


@bad("no_image_is_fine", "no image: IndexError")
class AsksForAFirstImage:
    """Negates the images, and looks at the first one."""

    def __call__(self, images, draw):
        assert images[0].ndim == 3
        return 1 - images


class Whole:
    """A crop of the whole image."""

    size = 13

    def boxes(self, sizes, draw):
        return np.concatenate([np.zeros_like(sizes), sizes], axis=1)

    def __call__(self, images, boxes):
        cut = [
            image[top : top + height, left : left + width]
            for image, (top, left, height, width) in zip(images, boxes, strict=True)
        ]
        return np.stack([self.sized(one) for one in cut])

    def sized(self, image):
        scaled = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return scaled.reshape(self.size, self.size, -1).astype(np.float32) / 255


@bad("boxes_lie_in_the_image", "one reaches beyond the image.")
class ReachesBeyond(Whole):
    """A crop of a box that is as high as the image is wide."""

    def boxes(self, sizes, draw):
        return np.concatenate([np.zeros_like(sizes), sizes.max(axis=1, keepdims=True).repeat(2, axis=1)], axis=1)


@bad("boxes_lie_in_the_image", "they are float64.")
class HalfPixels(Whole):
    """A crop whose boxes are not whole pixels."""

    def boxes(self, sizes, draw):
        return super().boxes(sizes, draw).astype(np.float64)

    def __call__(self, images, boxes):
        return super().__call__(images, boxes.astype(np.int64))


@bad("form_is_kept", "c = 1: (9, 12, 12, 1) instead of (9, 13, 13, 1).")
class AnotherSize(Whole):
    """A crop that is smaller than it says."""

    def sized(self, image):
        return super().sized(image)[:-1, :-1]


@bad("memory_that_is_given_is_used", "it gives back another array.")
class LeavesTheMemory(Whole):
    """A crop that takes memory and does not use it."""

    def __call__(self, images, boxes, out=None):
        return super().__call__(images, boxes)


@bad("memory_that_is_given_is_used", "what it writes there differs from what it gives.")
class WritesSomethingElse(Whole):
    """A crop that writes negatives into the memory it is given."""

    def __call__(self, images, boxes, out=None):
        made = super().__call__(images, boxes)
        if out is None:
            return made
        out[:] = 1 - made
        return out
