"""Centre crop: the same central square of every image, for evaluations; nothing about it is random."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt, Le
from jaxtyping import Float32

from sslkit.augmentations.crop import Boxes, Interpolation, Photos, Sizes, cut
from sslkit.draws import Draw


class CenterCrop:
    """Cut out the central square whose side is a fraction of the image's shorter side, and resize it.

    With fraction = S / R and size = S this is "resize the shorter side to R, take the central S" in one step instead of two:
    0.875 = 224 / 256 for the paper's 256 and 224 (arXiv:2002.05709, appendix B.5). The square's side and place are rounded as
    in the official code: side = round(fraction * shorter), offset = (length - side + 1) // 2. That code takes the whole image
    at 32 pixels and below, which is fraction 1 here.

    Args:
        size: side of the square result in pixels.
        fraction: side of the square / shorter side of the image.
        interpolation: "bicubic" is the official code's; "area" is smoother where a large image shrinks.
    """

    def __init__(
        self,
        *,
        size: Annotated[int, Gt(0)],
        fraction: Annotated[float, Gt(0), Le(1)] = 0.875,
        interpolation: Interpolation = "bicubic",
    ) -> None:
        self.size = size
        self.fraction = fraction
        self.interpolation = interpolation

    def boxes(self, sizes: Sizes, draw: Draw) -> Boxes:  # noqa: ARG002 - the same for every draw
        """Top, left, height and width in pixels of the central square for each (height, width)."""
        side = np.maximum(np.rint(self.fraction * sizes.min(axis=1, keepdims=True)), 1).astype(np.int64)  # (n, 1)
        return np.concatenate([(sizes - side + 1) // 2, side, side], axis=1)

    def __call__(
        self, images: Photos, boxes: Boxes, out: Float32[np.ndarray, "n s s c"] | None = None
    ) -> Float32[np.ndarray, "n size size c"]:
        """Uint8 images of any sizes and a box for each -> float32 (n, size, size, c) in [0, 1], in `out` if it is given."""
        return cut(images, boxes, size=self.size, interpolation=self.interpolation, out=out)
