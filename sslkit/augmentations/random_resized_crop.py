"""Random crop: a box of random area, shape and place, resized to a square; the augmentation that SimCLR needs most."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Float32

from sslkit.augmentations import crop_laws
from sslkit.augmentations.crop import Boxes, Interpolation, Photos, Sizes, cut
from sslkit.augmentations.crop_laws import Law
from sslkit.augmentations.interval import interval
from sslkit.draws import Draw
from sslkit.errors import UserError

_LAWS = {"torchvision": crop_laws.torchvision, "tensorflow": crop_laws.tensorflow}


class RandomResizedCrop:
    """Cut out a box that holds a random fraction of the image's area, and resize it (arXiv:2002.05709, appendix A).

    The paper says that area and aspect ratio lie within bounds, not how they are drawn. Its boxes depend on the law:

    - "torchvision": A is a uniform fraction of the image's area, r a log-uniform aspect ratio, and

            width = round(sqrt(A r)), height = round(sqrt(A / r)),

      at a uniform place. The first of ten tries that fits the image is taken; if none does, the largest central box whose
      aspect ratio lies within bounds.

    - "tensorflow", the official code's: r is uniform, the height uniform among the whole numbers

            round(sqrt(A_low / r)), ..., the largest whose area is at most A_high and which fits the image,

      and width = round(r height). A box of less than a tenth of the image is drawn anew, so that the lowest share is 0.1
      where `area` begins at 0.08; if 100 tries fail, the whole image is taken. Its boxes are smaller on average.

    Args:
        size: side of the square result in pixels.
        area: lowest and highest share of the image's area.
        aspect: lowest and highest width / height.
        law: how the box is drawn; "tensorflow" is the official code's.
        interpolation: "bicubic" is the official code's; "area" is smoother where a large box shrinks, and slower.

    Raises:
        UserError: `area` or `aspect` is not (low, high), or all of `area` is too small for the law.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        area: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.08, 1.0),
        aspect: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (3 / 4, 4 / 3),
        law: Law = "torchvision",
        interpolation: Interpolation = "bicubic",
    ) -> None:
        self.size = size
        self.area = interval("area", area, at_most=1.0)
        self.aspect = interval("aspect", aspect)
        self.law = law
        self.interpolation = interpolation
        if law == "tensorflow" and area[1] <= crop_laws.LEAST_SHARE:
            raise UserError(
                f'area: must reach above {crop_laws.LEAST_SHARE:g} with law = "tensorflow", which takes no smaller box but the'
                f' whole image; is ({area[0]:g}, {area[1]:g}). Did you mean law = "torchvision"?'
            )

    def boxes(self, sizes: Sizes, draw: Draw) -> Boxes:
        """Top, left, height and width in pixels of one box for each (height, width)."""
        return _LAWS[self.law](sizes, draw, area=self.area, aspect=self.aspect)

    def __call__(
        self, images: Photos, boxes: Boxes, out: Float32[np.ndarray, "n s s c"] | None = None
    ) -> Float32[np.ndarray, "n size size c"]:
        """Uint8 images of any sizes and a box for each -> float32 (n, size, size, c) in [0, 1], in `out` if it is given."""
        return cut(images, boxes, size=self.size, interpolation=self.interpolation, out=out)
