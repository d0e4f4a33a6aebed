"""SUN397: photographs of scenes, 100 of each of 397 classes as they were first partitioned."""

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
from sslkit.errors import DataError

SOURCE = Source(
    dataset="sun397",
    folder="SUN397",
    holds=("ClassName.txt", "a"),
    archives="SUN397.tar.gz (from http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz)",
    of="SUN397",
)
LISTS = {"train": "Training_01.txt", "test": "Testing_01.txt"}


class SUN397(ListedImages):
    """SUN397 (Xiao, Hays, Ehinger, Oliva and Torralba, CVPR 2010), its first published partition; judged by top-1.

    The archive has 108,754 images and no partition. The lists `Training_01.txt` and `Testing_01.txt`, 50 images of each class,
    are in `Partitions.zip`; they have to lie in `SUN397`, in `SUN397/Partitions` or in `root/Partitions`, and are never
    downloaded. `val` is held out from the training list, a fifth of each class (`sslkit.datasets.partition`): `train` has
    15,880 images, `val` 3,970, `trainval` and `test` 19,850 each.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `SUN397`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "top1"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="sun397")
        lists = _lists(root)
        folder = placed(SOURCE, root, download=download)
        classes = read_lines(folder / "ClassName.txt")
        images = completed(split, lambda part: read_list(lists / LISTS[part], _entry, classes))
        names = tuple(_plain(name) for name in classes)
        self._hold(folder, images, names, on_unreadable=on_unreadable)


def _lists(root: Path) -> Path:
    """The folder of the lists; looked for first, so that a download of 37 GB does not end with their absence."""
    places = (root / "SUN397", root / "SUN397" / "Partitions", root / "Partitions", root)
    for place in places:
        if all((place / name).is_file() for name in LISTS.values()):
            return place
    raise DataError(
        f"dataset 'sun397': no {LISTS['train']} and {LISTS['test']} in {str(places[1])!r}. Unpack Partitions.zip there "
        f"(from https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip); torchvision has no way to fetch it."
    )


def _entry(line: str) -> tuple[str, str]:
    """`/a/abbey/sun_aaalbzqrimafwbiv.jpg`: the file, in the folder that the class is named after."""
    if not line.startswith("/"):
        raise ValueError("a path begins with /")
    return line[1:], line.rpartition("/")[0]


def _plain(name: str) -> str:
    """`/a/abbey` -> `abbey`; `/a/apartment_building/outdoor` -> `apartment_building/outdoor`."""
    return name.split("/", 2)[-1]
