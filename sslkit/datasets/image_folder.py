"""A folder of images, in one sub-folder a class or without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from jaxtyping import Int64, UInt8

from sslkit.datasets.folders import list_images, split_folder
from sslkit.datasets.held import held
from sslkit.datasets.images import Metric
from sslkit.datasets.inventory import Inventory
from sslkit.datasets.origins import Origins
from sslkit.datasets.stand_in import OnUnreadable, image_files, unreadable_of


class ImageFolder:
    """Images in folders: `root/<split>/<class>/**/*.jpg` with labels, or `root/<split>/*.jpg` without.

    The folder of a split may also have another usual name: train, training; val, valid, validation; test, testing, in any case
    of letters. Any other split is a folder of exactly that name. If `root` has no folder of a usual name, then `root` itself
    is the split `train`, laid out as `root/<class>/**/*.jpg` or `root/*.jpg`.

    Classes and files are sorted by name. Images are those files whose names end in bmp, gif, jpeg, jpg, pgm, png, ppm, tif,
    tiff or webp, in any case of letters; hidden files are skipped, links are followed. How each kind of pixels becomes uint8 is
    said at `sslkit.datasets.pixels.read_pixels`.

    If all decoded images fit in `memory_gib`, they are decoded when the dataset is built, all of them checked thereby, and
    held in memory; else each is decoded when it is read, and a damaged file comes to light only then.

    Args:
        split: the name of a split.
        root: the folder.
        channels: 3 for RGB, 1 for grey.
        memory_gib: up to how many GiB of decoded images are held in memory. What is not held may be decoded at a fraction of
            its size, so views differ a little, and it counts in the recipe's hash.
        on_unreadable: an image that can't be read stops the run, or is skipped: the next readable one of its class, by name,
            stands in for it, and the run says at its end how many there were.

    Attributes:
        labels: the class of each image, `(n,)`, or None without classes.
        classes: the names of the classes, sorted, or None.
        unreadable: what was skipped so far: the number of an image -> why.

    Raises:
        DataError: there is no such folder or split, it holds no images, or an image can't be decoded.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    metric: ClassVar[Metric] = "top1"

    def __init__(
        self,
        split: str,
        *,
        root: Path,
        channels: Literal[1, 3] = 3,
        memory_gib: Annotated[float, Ge(0)] = 1.0,
        on_unreadable: OnUnreadable = "fail",
    ) -> None:
        listing = list_images(split_folder(root, split, dataset="image_folder"))
        self._files = image_files(
            listing.folder, listing.names, channels=channels, labels=listing.labels, on_unreadable=on_unreadable
        )
        self.unreadable = unreadable_of(self._files)
        self._images = held(self._files, int(memory_gib * 2**30)) or self._files
        self.channels: int = channels
        self.labels = listing.labels
        self.classes = listing.classes

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    @property
    def origins(self) -> Origins:
        """Which stored image each is."""
        return self._files.origins

    @property
    def contents(self) -> str:
        """What changes with the images."""
        return self._files.contents

    @property
    def inventory(self) -> Inventory:
        """Which files they are."""
        return self._files.inventory

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for."""
        return self._images.sizes(indices)

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image; JPEG that is not held in memory comes at `1 / reduction` of its height and width, rounded up."""
        return self._images.read(index, reduction)
