"""MNIST: 70,000 grey images of handwritten digits, 28 x 28."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.idx import load_idx
from sslkit.datasets.partition import WITH_TENTH
from sslkit.datasets.splits import check_split

CLASSES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


class MNIST(ArrayImages):
    """MNIST (LeCun, Bottou, Bengio and Haffner, 1998): splits `train` (60,000) and `test` (10,000), grey, 28 x 28.

    `val` is a fixed tenth of each class of `train`, 6,000 images, and `train_without_val` are the other 54,000
    (`sslkit.datasets.partition`).

    The four idx files are opened where they lie, packed or not: in `root` itself, or in `root/MNIST/raw`, where torchvision
    puts them. If they are in neither place, torchvision downloads them.

    Args:
        split: `train`, `val`, `train_without_val` or `test`.
        root: the folder to look in and to download into.
        download: whether files that are absent may be downloaded.

    Raises:
        DataError: there is no such split, or the files are absent or damaged.
    """

    channels = 1
    splits: ClassVar[tuple[str, ...]] = WITH_TENTH

    def __init__(self, split: str, *, root: Path = Path("data"), download: bool = True) -> None:
        check_split(split, self.splits, dataset="mnist")
        stored = "test" if split == "test" else "train"
        images, labels = load_idx(stored, root, dataset="mnist", folder="MNIST", download=download)
        self._hold(images, labels, CLASSES, split=split, dataset="mnist")
