"""Images of one size, held in memory as one uint8 array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.contents import of_array
from sslkit.datasets.origins import Origins, of_rows
from sslkit.datasets.partition import tenth

Labels = Int64[np.ndarray, " n"]


class ArrayImages(ABC):
    """What the datasets of small images share: a subclass loads four fields, everything else is said here.

    Attributes:
        splits: the names that `split` may have.
        channels: 3 for RGB, 1 for grey.
        labels: the class of each image, `(n,)`, or None if the split has no labels.
        classes: the names of the classes, or None if the split has no labels.
        origins: which stored image each is, or None if that is not told (`sslkit.datasets.origins`).
    """

    splits: ClassVar[tuple[str, ...]]
    channels: int
    labels: Labels | None
    classes: tuple[str, ...] | None
    origins: Origins | None = None
    _images: UInt8[np.ndarray, "n h w c"]

    @abstractmethod
    def __init__(self, split: str) -> None:
        """Load a split: set `_images`, `channels`, `labels`, `classes` and, better, `origins`; or call `_hold`."""

    def _hold(
        self, images: UInt8[np.ndarray, "n h w c"], labels: Labels, classes: tuple[str, ...], *, split: str, dataset: str
    ) -> None:
        """Keep a labelled split: all test images, or those of the training images that it has (`sslkit.datasets.partition`)."""
        stored = "test" if split == "test" else "train"
        rows = np.arange(len(labels)) if split == "test" else tenth(split, labels)
        self._images, self.labels = (images, labels) if len(rows) == len(labels) else (images[rows], labels[rows])
        self.classes = classes
        self.origins = of_rows(rows, dataset, stored)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    @cached_property
    def contents(self) -> str:
        """What changes with the images."""
        return of_array(self._images)

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for; they are all alike."""
        return np.tile(np.array(self._images.shape[1:3], dtype=np.int64), (len(indices), 1))

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:  # noqa: ARG002
        """One image, at full size whatever the `reduction`; it may be a view of the array, so it can't be written to."""
        image = np.ascontiguousarray(self._images[index])
        image.flags.writeable = False
        return image
