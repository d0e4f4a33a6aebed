"""Normalisation: each channel gets mean 0 and deviation 1, over a data set whose statistics are given."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, MinLen
from jaxtyping import Float32, Float64

from sslkit.augmentations.batch import Images
from sslkit.draws import Draw
from sslkit.errors import UserError

Mean = float | Annotated[tuple[float, ...], MinLen(1)]
Std = Annotated[float, Gt(0)] | Annotated[tuple[Annotated[float, Gt(0)], ...], MinLen(1)]
Numbers = Float64[np.ndarray, "*channels"]


class Normalize:
    """Give (x - mean) / std, channel by channel. It must be the last operation: its result leaves [0, 1].

    The authors' networks see images in [0, 1], and so no shipped recipe normalises. It is here for backbones that were trained
    on normalised images, and for comparisons with them. The defaults are the statistics of ImageNet's training photos that
    torchvision's models use. Computed as a subtraction and a multiplication by 1 / std, in float32.

    Args:
        mean: one number a channel, or one for all channels.
        std: the same; not 0.

    Raises:
        UserError: `std` is not above 0, or the numbers do not match each other or, when called, the channels of the images.
    """

    last: ClassVar[bool] = True

    def __init__(self, *, mean: Mean = (0.485, 0.456, 0.406), std: Std = (0.229, 0.224, 0.225)) -> None:
        self.mean = np.asarray(mean, dtype=np.float64)
        self.std = np.asarray(std, dtype=np.float64)
        if not (self.std > 0).all():
            raise UserError(f"std: must be above 0, is {std}.")
        if self.mean.ndim == self.std.ndim == 1 and len(self.mean) != len(self.std):
            raise UserError(f"mean: has {_count(self.mean)}, and std {_count(self.std)}; give each one a channel.")

    def __call__(self, images: Images, draw: Draw) -> Images:  # noqa: ARG002 - nothing is random
        """Images (n, h, w, c) in [0, 1] -> all of them normalised, in place."""
        images = np.ascontiguousarray(images)
        w, c = images.shape[2:]
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if numbers.ndim == 1 and len(numbers) != c:
                raise UserError(
                    f"normalize: {name} has {_count(numbers)}, and the images have {c} channel{'s' if c > 1 else ''}. "
                    f"Give one number a channel, or a single one for all of them."
                )
        images -= _row(self.mean, w, c)
        images *= _row(np.asarray(1 / self.std), w, c)
        return images


def _count(numbers: Numbers) -> str:
    return f"{len(numbers)} number{'s' if len(numbers) > 1 else ''}"


def _row(numbers: Numbers, w: int, c: int) -> Float32[np.ndarray, "w c"]:
    """The numbers for a whole row of pixels: numpy adds rows several times faster than single pixels."""
    return np.tile(np.broadcast_to(numbers, c).astype(np.float32), (w, 1))
