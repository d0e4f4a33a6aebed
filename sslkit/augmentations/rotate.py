"""Rotation by a multiple of 90 degrees: no pixel is interpolated, each moves to another place."""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from annotated_types import MinLen

from sslkit.augmentations.batch import Images
from sslkit.draws import Draw
from sslkit.errors import UserError

Angle = Literal[0, 90, 180, 270]

_COUNTER_CLOCKWISE = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class Rotate:
    """Rotate each image counter-clockwise by one of the angles, all equally likely.

    The paper draws rotations of 90, 180 and 270 degrees (arXiv:2002.05709, Fig. 4) and tells 0, 90, 180 and 270 apart in a
    probe (Table 3). How often its ablation left an image as it was is not published: the 0 among the angles is ours.

    By 90 or 270 degrees a row of pixels becomes a column, and an oblong image would no longer fit into its batch. With
    `angles = [0, 180]` oblong images are taken too.

    Args:
        angles: in degrees, each at most once.

    Raises:
        UserError: there is no angle, another one, or one twice; or the images are oblong and an angle is 90 or 270.
    """

    def __init__(self, *, angles: Annotated[tuple[Angle, ...], MinLen(1)] = (0, 90, 180, 270)) -> None:
        if not angles or not {*angles} <= {0, *_COUNTER_CLOCKWISE} or len({*angles}) < len(angles):
            raise UserError(f"angles: must be some of 0, 90, 180, 270, each once, is {tuple(angles)}.")
        self.angles = angles

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) -> all of them rotated, in a new array."""
        h, w = images.shape[1:3]
        if h != w and not {*self.angles} <= {0, 180}:
            raise UserError(
                f"rotate: images of {h} x {w} pixels would change their shape by 90 or 270 degrees. "
                f"Crop them square before, or say angles = [0, 180]."
            )
        images = np.ascontiguousarray(images)
        rotated = np.empty_like(images)
        turns = [self.angles[i] for i in draw.integers(len(self.angles)).tolist()]
        for image, angle, out in zip(images, turns, rotated, strict=True):  # faster than numpy on all of them
            if angle == 0:
                out[:] = image
            else:
                cv2.rotate(image, _COUNTER_CLOCKWISE[angle], dst=out)
        return rotated
