"""Food-101: 101,000 photographs of dishes, in 101 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.lists import read_lines, read_list
from sslkit.datasets.partition import completed
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable

SOURCE = Source(
    dataset="food101",
    folder="food-101",
    holds=("images", "meta/classes.txt", "meta/train.txt", "meta/test.txt"),
    archives="food-101.tar.gz (from http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz)",
    of="Food101",
)


class Food101(ListedImages):
    """Food-101 (Bossard, Guillaumin and Van Gool, ECCV 2014): 75,750 images to train on, 25,250 to test; judged by top-1.

    `val` is held out from the published training split, a fifth of each class (`sslkit.datasets.partition`): `train` has
    60,600 images, `val` 15,150, `trainval` 75,750. What is read of the archive are `images`, and in `meta` the lists
    `classes.txt`, `train.txt` and `test.txt`.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `food-101`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "top1"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="food101")
        folder = placed(SOURCE, root, download=download)
        classes = read_lines(folder / "meta" / "classes.txt")
        images = completed(split, lambda part: read_list(folder / "meta" / f"{part}.txt", _entry, classes))
        self._hold(folder / "images", images, tuple(classes), on_unreadable=on_unreadable)


def _entry(line: str) -> tuple[str, str]:
    """`apple_pie/1005649`: the class, which is the folder, and the file."""
    of_class, _ = line.split("/")
    return f"{line}.jpg", of_class
