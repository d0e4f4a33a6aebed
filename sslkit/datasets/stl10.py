"""STL-10: 113,000 colour photographs, 96 x 96, of which 13,000 are labelled with ten classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.origins import of_rows
from sslkit.datasets.splits import check_split
from sslkit.datasets.torchvision_files import found_or_fetched

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


class STL10(ArrayImages):
    """STL-10 (Coates, Lee and Ng, AISTATS 2011), made for learning with few labels; RGB, 96 x 96.

    Splits: `train` (5,000) and `test` (8,000) have labels; `unlabeled` (100,000) and `train+unlabeled` (105,000) have none.
    The images stay in memory as they lie in the file, column by column; each is turned when it is read. The unlabelled ones
    take 2.8 GB. torchvision finds, checks, unpacks and, if they are absent, downloads the files.

    Args:
        split: `train`, `test`, `unlabeled` or `train+unlabeled`.
        root: the folder that holds `stl10_binary`, or gets it.
        download: whether files that are absent may be downloaded.

    Raises:
        DataError: there is no such split, or the files are absent or damaged.
    """

    channels = 3
    splits: ClassVar[tuple[str, ...]] = ("train", "test", "unlabeled", "train+unlabeled")

    def __init__(self, split: str, *, root: Path = Path("data"), download: bool = True) -> None:
        check_split(split, self.splits, dataset="stl10")
        found = found_or_fetched("STL10", root, dataset="stl10", download=download, options={"split": split})
        labelled = split in ("train", "test")
        self._images = found.data.transpose(0, 2, 3, 1)  # (n, c, h, w) -> (n, h, w, c), a view
        self.labels = found.labels.astype(np.int64) if labelled else None
        self.classes = CLASSES if labelled else None
        known = int(np.count_nonzero(found.labels >= 0))  # they come first
        numbers = {"train": known, "test": known, "unlabeled": len(found.labels) - known}
        self.origins = np.concatenate([of_rows(np.arange(numbers[part]), "stl10", part) for part in split.split("+")])
