"""Stanford Cars: 16,185 photographs of cars, in 196 models."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.lists import numbered
from sslkit.datasets.matlab import check_scipy, read_mat
from sslkit.datasets.partition import Labelled, completed
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable
from sslkit.errors import DataError

SOURCE = Source(
    dataset="stanford_cars",
    folder="stanford_cars",
    holds=("cars_train", "cars_test", "devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"),
    archives="cars_train.tgz, cars_test.tgz, car_devkit.tgz and cars_test_annos_withlabels.mat (no longer on the web)",
    into="stanford_cars",
)
LISTS = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}


class StanfordCars(ListedImages):
    """Stanford Cars (Krause, Stark, Deng and Fei-Fei, 3dRR 2013): 8,144 images to train on, 8,041 to test; judged by top-1.

    `val` is held out from the published training split, a fifth of each class (`sslkit.datasets.partition`); `train` is the
    rest, `trainval` both. The lists are MATLAB files, which scipy reads. There is nothing to download: the publisher's address
    is gone, and torchvision has no other.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `stanford_cars`, or is it.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, files are absent or damaged, or scipy is not installed.
    """

    metric: ClassVar[Metric] = "top1"

    def __init__(self, split: str, *, root: Path = Path("data"), on_unreadable: OnUnreadable = "fail") -> None:
        check_split(split, self.splits, dataset="stanford_cars")
        check_scipy("stanford_cars")
        folder = placed(SOURCE, root)
        classes = tuple(str(name) for name in read_mat(folder / "devkit" / "cars_meta.mat", "class_names"))
        images = completed(split, lambda part: _read(folder, part, classes))
        self._hold(folder, images, classes, on_unreadable=on_unreadable)


def _read(folder: Path, part: str, classes: tuple[str, ...]) -> Labelled:
    """The images of a split; `class` counts from 1, `fname` is a file in `cars_train` or `cars_test`."""
    path = folder / LISTS[part]
    annotations = read_mat(path, "annotations")
    if annotations.dtype.names is None or not {"fname", "class"} <= set(annotations.dtype.names):
        raise DataError(f"{str(path)!r}: its annotations should have the fields 'fname' and 'class'.")
    names = [f"cars_{part}/{name}" for name in annotations["fname"]]
    return numbered(path, names, annotations["class"].tolist(), num_classes=len(classes))
