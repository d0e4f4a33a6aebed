"""ImageNet: 1.28 million photographs in 1,000 classes, as the folders that are usual for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.folders import check_root, list_images, subfolders
from sslkit.datasets.inventory import Inventory
from sslkit.datasets.origins import Origins
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable, image_files, unreadable_of
from sslkit.errors import DataError, UnknownSplit

WNID = re.compile(r"n\d{8}")


class ImageNet:
    """ImageNet (ILSVRC 2012, arXiv:1409.0575), or any subset of its classes, unpacked by the user.

    The files lie in `root/train/<wnid>/*.JPEG` and `root/val/<wnid>/*.JPEG`. The validation images come without folders; they
    have to be moved into folders of their classes first. Labels number the sorted wnids. Images are decoded when they are read.

    Args:
        split: `train` or `val`.
        root: the folder that holds `train` and `val`.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Attributes:
        labels: the class of each image, `(n,)`.
        classes: the wnids, sorted.
        unreadable: what was skipped so far: the number of an image -> why.

    Raises:
        DataError: there is no such split or folder, or a folder in it is not named like a wnid.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val")

    def __init__(self, split: str, *, root: Path, on_unreadable: OnUnreadable = "fail") -> None:
        check_split(split, self.splits, dataset="imagenet")
        check_root(root)
        if split not in subfolders(root):
            raise UnknownSplit(f"data.root: {str(root)!r} has no folder {split!r}; ImageNet's images lie in 'train' and 'val'.")
        listing = list_images(root / split)
        if listing.classes is None:
            raise DataError(
                f"{str(root / split)!r}: holds images, but no folders; move each into a folder named after its wnid."
            )
        strangers = [name for name in listing.classes if not WNID.fullmatch(name)]
        if strangers:
            raise DataError(
                f"{str(root / split / strangers[0])!r}: is not named like a class of ImageNet, such as 'n01440764'."
            )
        self._images = image_files(
            listing.folder, listing.names, channels=3, labels=listing.labels, on_unreadable=on_unreadable
        )
        self.unreadable = unreadable_of(self._images)
        self.channels = 3
        self.labels: Int64[np.ndarray, " n"] | None = listing.labels
        self.classes: tuple[str, ...] | None = listing.classes

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
        """One image, at `1 / reduction` of its height and width, rounded up."""
        return self._images.read(index, reduction)
