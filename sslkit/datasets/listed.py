"""Listed images: files that lists on the disk name, with their labels; what the datasets of the transfer evaluation share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.images import Metric
from sslkit.datasets.inventory import Inventory
from sslkit.datasets.origins import Origins
from sslkit.datasets.partition import SPLITS, Labelled
from sslkit.datasets.stand_in import OnUnreadable, image_files, unreadable_of
from sslkit.errors import DataError


class ListedImages(ABC):
    """Image files, RGB, each decoded when it is read, sorted by name: a subclass finds them, everything else is said here.

    Attributes:
        splits: the names that `split` may have.
        metric: the number by which transfer to the dataset is judged (arXiv:2002.05709, appendix B.8).
        channels: 3.
        labels: the class of each image, `(n,)`; or `(n, c)`: 1 where it shows a class, 0 where not, -1 where that is left open.
        classes: the names of the classes.
        unreadable: what was skipped so far: the number of an image -> why.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    metric: ClassVar[Metric]
    channels = 3
    labels: Int64[np.ndarray, "n *c"]
    classes: tuple[str, ...]
    unreadable: dict[int, str]

    @abstractmethod
    def __init__(self, split: str) -> None:
        """Find the images of a split, and call `_hold`."""

    def _hold(self, folder: Path, labelled: Labelled, classes: tuple[str, ...], *, on_unreadable: OnUnreadable) -> None:
        """Keep the images of a split, whose names are relative to `folder`; DataError if there is none, or one is not there."""
        if not labelled:
            raise DataError(f"{str(folder)!r}: no image of it belongs to this split.")
        names = sorted(labelled)
        check_files(folder, names)
        self.labels = np.array([labelled[name] for name in names], dtype=np.int64)
        self.classes = classes
        encoded = np.array([os.fsencode(name) for name in names])
        self._images = image_files(folder, encoded, channels=3, labels=self.labels, on_unreadable=on_unreadable)
        self.unreadable = unreadable_of(self._images)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    @property
    def origins(self) -> Origins:
        """Which stored image each is."""
        return self._images.origins

    @property
    def contents(self) -> str:
        """What changes with the images."""
        return self._images.contents

    @property
    def inventory(self) -> Inventory:
        """Which files they are."""
        return self._images.inventory

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for, from the headers."""
        return self._images.sizes(indices)

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image; JPEG at `1 / reduction` of its height and width, rounded up."""
        return self._images.read(index, reduction)


def check_files(folder: Path, names: list[str]) -> None:
    """Raise DataError if files are not there, so that half an archive costs no training; each folder is looked into once."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in names:
        below, _, file = name.rpartition("/")
        wanted[below].append(file)
    missing: list[str] = []
    for below, files in wanted.items():
        try:
            there = {path.name for path in (folder / below).iterdir()}
        except OSError:
            there = set()
        missing += [f"{below}/{file}".lstrip("/") for file in files if file not in there]
    if missing:
        raise DataError(
            f"{str(folder)!r}: {len(missing)} of {len(names)} images of this split are not there, the first is {missing[0]!r}; "
            f"is the archive unpacked whole?"
        )
