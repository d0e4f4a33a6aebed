"""Caltech-101: 8,677 pictures of objects, in 101 classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import numpy as np

from sslkit.datasets.folders import images_below, subfolders
from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.partition import Labelled, completed, of_each_class
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable
from sslkit.errors import DataError

SOURCE = Source(
    dataset="caltech101",
    folder="caltech101",
    holds=("101_ObjectCategories",),
    archives="101_ObjectCategories.tar.gz (in caltech-101.zip from https://data.caltech.edu/records/mzrjq-6wc02)",
    into="caltech101",
    of="Caltech101",
)
BACKGROUND = "BACKGROUND_Google"
NUM_TRAIN = 30  # of each class (arXiv:2002.05709, appendix B.8)


class Caltech101(ListedImages):
    """Caltech-101 (Fei-Fei, Fergus and Perona, CVPR workshops 2004); judged by the mean of the classes' accuracies.

    No split was published. `trainval` are 30 images of each class, 3,030, drawn at a fixed address: which ones is a pure
    function of the files' names, no seed moves it, and other people drew others. `test` are all the rest. `val` is a fifth of
    `trainval`, 6 images of each class, and `train` the other 24 (`sslkit.datasets.partition`). The folder of images without an
    object, `BACKGROUND_Google`, is no class and is left out.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `caltech101`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, files are absent or damaged, or a class has 30 images or fewer.
    """

    metric: ClassVar[Metric] = "mean_per_class"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="caltech101")
        folder = placed(SOURCE, root, download=download) / "101_ObjectCategories"
        classes = tuple(name for name in subfolders(folder) if name != BACKGROUND)
        images = completed(split, lambda part: _drawn(folder, classes, part))
        self._hold(folder, images, classes, on_unreadable=on_unreadable)


def _drawn(folder: Path, classes: tuple[str, ...], part: str) -> Labelled:
    """30 images of each class, or the rest."""
    found: dict[str, int] = {}
    for number, name in enumerate(classes):
        files = images_below(folder / name)
        if len(files) <= NUM_TRAIN:
            raise DataError(
                f"{str(folder / name)!r}: has {len(files)} images; {NUM_TRAIN} are to train on, and none is left to test."
            )
        found.update((f"{name}/{os.fsdecode(file)}", number) for file in files)
    names = sorted(found)
    labels = np.array([found[name] for name in names], dtype=np.int64)
    drawn = of_each_class(labels, lambda _: NUM_TRAIN, address="caltech101").tolist()
    return {name: found[name] for name, is_drawn in zip(names, drawn, strict=True) if is_drawn == (part == "train")}
