"""Many image files, decoded each time they are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.headers import read_size
from sslkit.datasets.pixels import read_pixels


class ImageFiles:
    """Image files, decoded each time they are read.

    Args:
        folder: where they are.
        names: relative to it, as bytes in one array `(n,)`: a million names cost no objects, and are shared after a fork.
        channels: 3 for RGB, 1 for grey.
    """

    def __init__(self, folder: Path, names: np.ndarray, *, channels: int) -> None:
        self.folder = folder
        self.names = names
        self.channels = channels

    def __len__(self) -> int:
        """The number of files."""
        return len(self.names)

    def path(self, index: int) -> Path:
        """Where an image lies."""
        return self.folder / os.fsdecode(bytes(self.names[index]))

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for, from the headers."""
        return np.array([read_size(self.path(index)) for index in indices.tolist()], dtype=np.int64).reshape(-1, 2)

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image; JPEG at `1 / reduction` of its height and width."""
        return read_pixels(self.path(index), channels=self.channels, reduction=reduction)
