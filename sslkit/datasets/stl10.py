"""STL-10: 113,000 colour photographs, 96 x 96, of which 13,000 are labelled with ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.origins import of_rows
from sslkit.datasets.partition import WITH_TENTH
from sslkit.datasets.splits import check_split
from sslkit.datasets.torchvision_files import found_or_fetched

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class STL10(ArrayImages):
    """STL-10 (Coates, Lee and Ng, AISTATS 2011), made for learning with few labels; RGB, 96 x 96.

    Splits: `train` (5,000) and `test` (8,000) have labels; `unlabeled` (100,000) and `train+unlabeled` (105,000) have none.
    `val` is a fixed tenth of each class of `train`, 500 images, and `train_without_val` are the other 4,500
    (`sslkit.datasets.partition`); the ten folds that were published are not these.
    The images stay in memory as they lie in the file, column by column; each is turned when it is read. The unlabelled ones
    take 2.8 GB. torchvision finds, checks, unpacks and, if they are absent, downloads the files.

    Args:
        split: `train`, `val`, `train_without_val`, `test`, `unlabeled` or `train+unlabeled`.
        root: the folder that holds `stl10_binary`, or gets it.
        download: whether files that are absent may be downloaded.

    Raises:
        DataError: there is no such split, or the files are absent or damaged.
    """

    channels = 3
    splits: ClassVar[tuple[str, ...]] = (*WITH_TENTH, "unlabeled", "train+unlabeled")

    def __init__(self, split: str, *, root: Path = Path("data"), download: bool = True) -> None:
        check_split(split, self.splits, dataset="stl10")
        stored = "train" if split in ("val", "train_without_val") else split
        found = found_or_fetched("STL10", root, dataset="stl10", download=download, options={"split": stored})
        images = found.data.transpose(0, 2, 3, 1)  # (n, c, h, w) -> (n, h, w, c), a view
        if split in WITH_TENTH:
            self._hold(images, found.labels.astype(np.int64), CLASSES, split=split, dataset="stl10")
            return
        self._images, self.labels, self.classes = images, None, None
        known = int(np.count_nonzero(found.labels >= 0))  # they come first
        numbers = {"train": known, "unlabeled": len(found.labels) - known}
        self.origins = np.concatenate([of_rows(np.arange(numbers[part]), "stl10", part) for part in split.split("+")])
