"""Augmentations: float32 images `(n, h, w, c)` in [0, 1] and a `draw` -> images of the same form.

An operation may write into the images it is given. All its randomness comes from the draw, one row an image, so that an image's
view does not depend on the batch. The first of a list is a *crop*: it has `.size`, `boxes(sizes, draw)`, which gives one
`(top, left, height, width)` in pixels for each `(height, width)`, and is called with a list of uint8 images and their boxes to
give float32 `(n, size, size, c)`; one that declares a third parameter, `out`, gets the memory of a batch to write them into.

`p`, the share of images an operation is applied to, is a key of every operation; the composition applies it, and an operation
that declares `p` sets its default by that. One whose result leaves [0, 1] says `last = True` on its class, and ends a list.
"""

from typing import Annotated

from annotated_types import Ge, Le

from sslkit import signatures
from sslkit.registry import Registry


def is_crop(augmentation: type) -> bool:
    """Whether it decides where boxes lie."""
    return signatures.written(augmentation, "boxes") is not None


def is_last(augmentation: type) -> bool:
    """Whether no other operation may follow it."""
    return bool(getattr(augmentation, "last", False))


def _boxes(augmentation: type) -> str:
    """A crop is asked for its boxes with sizes and a draw."""
    boxes = signatures.written(augmentation, "boxes")
    taken = None if boxes is None else len(signatures.parameters_of(boxes))
    return "" if taken in (None, 2) else "a crop's boxes are asked for as boxes(self, sizes, draw)."


registry = Registry(
    kind="augmentations",
    one="augmentation",
    builtins={
        "all_of": "sslkit.augmentations.all_of:AllOf",
        "auto_augment": "sslkit.augmentations.auto_augment:AutoAugment",
        "autocontrast": "sslkit.augmentations.autocontrast:Autocontrast",
        "center_crop": "sslkit.augmentations.center_crop:CenterCrop",
        "color_distortion": "sslkit.augmentations.color_distortion:ColorDistortion",
        "color_jitter": "sslkit.augmentations.color_jitter:ColorJitter",
        "cutout": "sslkit.augmentations.cutout:Cutout",
        "equalize": "sslkit.augmentations.equalize:Equalize",
        "gaussian_blur": "sslkit.augmentations.gaussian_blur:GaussianBlur",
        "gaussian_noise": "sslkit.augmentations.gaussian_noise:GaussianNoise",
        "grayscale": "sslkit.augmentations.grayscale:Grayscale",
        "horizontal_flip": "sslkit.augmentations.horizontal_flip:HorizontalFlip",
        "motion_blur": "sslkit.augmentations.motion_blur:MotionBlur",
        "normalize": "sslkit.augmentations.normalize:Normalize",
        "one_of": "sslkit.augmentations.one_of:OneOf",
        "posterize": "sslkit.augmentations.posterize:Posterize",
        "rand_augment": "sslkit.augmentations.rand_augment:RandAugment",
        "random_resized_crop": "sslkit.augmentations.random_resized_crop:RandomResizedCrop",
        "rotate": "sslkit.augmentations.rotate:Rotate",
        "sobel": "sslkit.augmentations.sobel:Sobel",
        "solarize": "sslkit.augmentations.solarize:Solarize",
        "vertical_flip": "sslkit.augmentations.vertical_flip:VerticalFlip",
    },
    takes={"__call__": 2},
    options={"p": (Annotated[float, Ge(0), Le(1)], 1.0)},
    overridable=("p",),
    needs=_boxes,
)
