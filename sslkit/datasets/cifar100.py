"""CIFAR-100: 60,000 colour photographs, 32 x 32, in a hundred classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from sslkit.datasets.arrays import ArrayImages
from sslkit.datasets.images import Metric
from sslkit.datasets.partition import WITH_TENTH
from sslkit.datasets.splits import check_split
from sslkit.datasets.torchvision_files import found_or_fetched


class CIFAR100(ArrayImages):
    """CIFAR-100 (Krizhevsky, 2009): splits `train` (50,000) and `test` (10,000), RGB, 32 x 32; the 100
    fine classes.

    `val` is a fixed tenth of each class of `train`, 5,000 images, and `train_without_val` are the other 45,000
    (`sslkit.datasets.partition`).

    torchvision finds, checks, unpacks and, if they are absent, downloads the files. They are pickles; none is opened unless
    its md5 is the published one.

    Args:
        split: `train`, `val`, `train_without_val` or `test`.
        root: the folder that holds `cifar-100-python`, or gets it.
        download: whether files that are absent may be downloaded.

    Raises:
        DataError: there is no such split, or the files are absent or damaged.
    """

    channels = 3
    splits: ClassVar[tuple[str, ...]] = WITH_TENTH
    metric: ClassVar[Metric] = "top1"

    def __init__(self, split: str, *, root: Path = Path("data"), download: bool = True) -> None:
        check_split(split, self.splits, dataset="cifar100")
        found = found_or_fetched("CIFAR100", root, dataset="cifar100", download=download, options={"train": split != "test"})
        labels = np.array(found.targets, dtype=np.int64)
        self._hold(np.ascontiguousarray(found.data), labels, tuple(found.classes), split=split, dataset="cifar100")
