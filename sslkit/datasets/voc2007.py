"""PASCAL VOC 2007: 9,963 photographs, each with objects of some of 20 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.lists import read_list
from sslkit.datasets.partition import Labelled, published
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable
from sslkit.errors import DataError

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
WRITTEN = {"-1": 0, "1": 1, "0": -1}  # as the lists write it: no object, at least one, difficult ones only


def source(split: str) -> Source:
    """Training and test images are in an archive each."""
    archive, first = ("test", "test") if split == "test" else ("trainval", "train")
    return Source(
        dataset="voc2007",
        folder="VOCdevkit/VOC2007",
        holds=("JPEGImages", f"ImageSets/Main/aeroplane_{first}.txt"),
        archives=f"VOC{archive}_06-Nov-2007.tar (from https://thor.robots.ox.ac.uk/pascal/VOC/voc2007)",
        of="VOCDetection",
        options={"year": "2007", "image_set": archive},
    )


class VOC2007(ListedImages):
    """PASCAL VOC 2007 (Everingham et al., IJCV 2010) as classification of many labels; judged by the mean average precision.

    `train` (2,501), `val` (2,510), `trainval` (5,011) and `test` (4,952) are the published splits. The labels are those of the
    published lists `ImageSets/Main/<class>_<split>.txt`, by which the challenge was judged: `labels[i, c]` is 1 if image i
    shows an object of class c, 0 if it shows none, and -1 if all it shows are marked as difficult; those count neither way.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `VOCdevkit/VOC2007`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "map"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="voc2007")
        folder = placed(source(split), root, download=download)
        images = published(split, lambda part: _read(folder / "ImageSets" / "Main", part))
        self._hold(folder / "JPEGImages", images, CLASSES, on_unreadable=on_unreadable)


def _read(folder: Path, part: str) -> Labelled:
    """The labels of a split, of all classes; DataError if not all of them list the same images."""
    columns = []
    for name in CLASSES:
        path = folder / f"{name}_{part}.txt"
        columns.append(read_list(path, _entry, tuple(WRITTEN)))
        if columns[-1].keys() != columns[0].keys():
            raise DataError(f"{str(path)!r}: should list the images that {CLASSES[0]}_{part}.txt lists.")
    values = tuple(WRITTEN.values())
    return {image: tuple(values[column[image]] for column in columns) for image in columns[0]}


def _entry(line: str) -> tuple[str, str]:
    """`000005 -1`: the file, and whether it shows the class."""
    image, written = line.split()
    return f"{image}.jpg", written
