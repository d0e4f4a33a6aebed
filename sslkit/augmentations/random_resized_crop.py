"""Random crop: a box of random area, shape and place, resized to a square; the augmentation that SimCLR needs most."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Float32

from sslkit.augmentations.crop import Boxes, Interpolation, Photos, Sizes, cut
from sslkit.augmentations.interval import interval
from sslkit.draws import Draw

_TRIES = 10


class RandomResizedCrop:
    """Cut out a box that holds a random fraction of the image's area, and resize it (arXiv:2002.05709, appendix A).

    With A a uniform fraction of the image's area and r a log-uniform aspect ratio, a box is

        width = round(sqrt(A r)), height = round(sqrt(A / r)),

    at a uniform place. The first of ten tries that fits the image is taken; if none does, the largest central box whose
    aspect ratio lies within bounds.

    This is torchvision's law. The paper says of the aspect ratio only that it lies within [3/4, 4/3]; the official code draws
    it uniformly, then the box's height, not its area, and gives no box under a tenth of the image: its boxes are smaller
    on average.

    Args:
        size: side of the square result in pixels.
        area: lowest and highest share of the image's area.
        aspect: lowest and highest width / height.
        interpolation: "bicubic" is the official code's; "area" is smoother where a large box shrinks, and slower.

    Raises:
        UserError: `area` or `aspect` is not (low, high).
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        area: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.08, 1.0),
        aspect: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (3 / 4, 4 / 3),
        interpolation: Interpolation = "bicubic",
    ) -> None:
        self.size = size
        self.area = interval("area", area, at_most=1.0)
        self.aspect = interval("aspect", aspect)
        self.interpolation = interpolation

    def boxes(self, sizes: Sizes, draw: Draw) -> Boxes:
        """Top, left, height and width in pixels of one box for each (height, width)."""
        full = sizes.astype(np.float64)
        area = full.prod(axis=1, keepdims=True) * draw.uniform(*self.area, size=_TRIES)  # (n, tries)
        aspect = np.exp(draw.uniform(*np.log(self.aspect), size=_TRIES))
        tried = np.rint(np.sqrt(np.stack([area / aspect, area * aspect], axis=2)))  # (n, tries, 2): height, width
        fits = ((tried >= 1) & (tried <= full[:, None])).all(axis=2)
        first = np.take_along_axis(tried, fits.argmax(axis=1)[:, None, None], axis=1)[:, 0]
        found = fits.any(axis=1, keepdims=True)
        box = np.where(found, first, self._largest(full))  # (n, 2)
        place = np.where(found, np.floor(draw.uniform(size=2) * (full - box + 1)), (full - box) // 2)
        return np.concatenate([place, box], axis=1).astype(np.int64)

    def _largest(self, full: np.ndarray) -> np.ndarray:
        """The whole image, its longer side cut until the aspect ratio lies within bounds."""
        height, width = full.T
        low, high = self.aspect
        box = [np.minimum(height, np.rint(width / low)), np.minimum(width, np.rint(height * high))]
        return np.stack([np.maximum(side, 1) for side in box], axis=1)

    def __call__(self, images: Photos, boxes: Boxes) -> Float32[np.ndarray, "n size size c"]:
        """Uint8 images of any sizes and a box for each -> float32 (n, size, size, c) in [0, 1]."""
        return cut(images, boxes, size=self.size, interpolation=self.interpolation)
