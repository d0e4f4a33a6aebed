"""MINE: black becomes white, some of the way."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from sslkit import Draw


class Mine:
    """Mix each image with its negative, by a share that is drawn for each.

    Args:
        p: how many of the images are changed, unless the recipe says otherwise.
        most: the largest share, in [0, 1].
    """

    def __init__(
        self,
        *,
        p: Annotated[float, Ge(0), Le(1)] = 0.2,  # noqa: ARG002  the framework applies it
        most: Annotated[float, Ge(0), Le(1)] = 1.0,
    ) -> None:
        self.most = most

    def __call__(self, images: np.ndarray, draw: Draw) -> np.ndarray:
        """Images float32 `(n, h, w, c)` in [0, 1], changed."""
        share = draw.uniform(0.0, self.most).astype(np.float32)[:, None, None, None]  # (n, 1, 1, 1)
        return np.clip(images + share * (1 - 2 * images), 0, 1)
