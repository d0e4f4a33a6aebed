"""MINE: drawn images of stripes, to be told apart by their direction."""

from typing import Annotated

import numpy as np
from annotated_types import Gt

from sslkit.errors import UnknownSplit


class Mine:
    """Upright and level stripes of random width, place and colours.

    Args:
        split: `train` or `test`, of other images each.
        num_images: of the training split; the other has a quarter of it.
        size: height and width, in pixels.
    """

    splits = ("train", "test")
    channels = 3
    classes = ("level", "upright")

    def __init__(self, split: str, *, num_images: Annotated[int, Gt(3)] = 1000, size: Annotated[int, Gt(3)] = 32) -> None:
        if split not in self.splits:
            raise UnknownSplit(f"there is no split {split!r}; there are train and test.")
        self.split, self.size = split, size
        self.labels = np.arange(num_images if split == "train" else num_images // 4, dtype=np.int64) % 2

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def sizes(self, indices: np.ndarray) -> np.ndarray:
        """`(height, width)` of each image asked for, int64."""
        return np.full((len(indices), 2), self.size, dtype=np.int64)

    def read(self, index: int, reduction: int) -> np.ndarray:  # noqa: ARG002  a small image comes whole
        """One image, uint8 `(h, w, c)`; the same each time."""
        drawn = np.random.default_rng([self.splits.index(self.split), index])
        width, start = drawn.integers(1, self.size // 2), drawn.integers(self.size)
        colours = drawn.integers(0, 256, (2, 3), dtype=np.uint8)
        level = colours[(np.arange(self.size) + start) // width % 2][:, None].repeat(self.size, axis=1)
        return level if self.labels[index] == 0 else level.transpose(1, 0, 2)
