"""Many image files, decoded each time they are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets import contents, inventory, origins
from sslkit.datasets.headers import damaged, read_size
from sslkit.datasets.pixels import read_pixels
from sslkit.errors import DataError


class ImageFiles:
    """Image files, decoded each time they are read.

    Args:
        folder: where they are.
        names: relative to it, as bytes in one array `(n,)`: a million names cost no objects, and are shared after a fork.
        channels: 3 for RGB, 1 for grey.
        advice: what can be done about a damaged file.
    """

    def __init__(self, folder: Path, names: np.ndarray, *, channels: int, advice: str = "") -> None:
        self.folder = folder
        self.names = names
        self.channels = channels
        self._advice = advice

    def __len__(self) -> int:
        """The number of files."""
        return len(self.names)

    @cached_property
    def origins(self) -> origins.Origins:
        """Which stored image each is."""
        return origins.of_files(self.folder, self.names)

    @cached_property
    def contents(self) -> str:
        """What changes with the images."""
        return contents.of_files(self.inventory)

    @cached_property
    def inventory(self) -> inventory.Inventory:
        """Which files they are."""
        return inventory.inventory(self.folder, self.names)

    def path(self, index: int) -> Path:
        """Where an image lies."""
        return self.folder / os.fsdecode(bytes(self.names[index]))

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for, from the headers."""
        with self._advised():
            return np.array([read_size(self.path(index)) for index in indices.tolist()], dtype=np.int64).reshape(-1, 2)

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image; JPEG at `1 / reduction` of its height and width."""
        with self._advised():
            return read_pixels(self.path(index), channels=self.channels, reduction=reduction)

    @contextlib.contextmanager
    def _advised(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            if not self._advice or not damaged(error):
                raise
            raise DataError(f"{error} {self._advice}") from error.__cause__
