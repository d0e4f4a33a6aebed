"""Oxford-IIIT Pet: 7,349 photographs of cats and dogs, in 37 breeds."""

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
    dataset="oxford_pets",
    folder="oxford-iiit-pet",
    holds=("images", "annotations/trainval.txt", "annotations/test.txt"),
    archives="images.tar.gz and annotations.tar.gz (from https://www.robots.ox.ac.uk/~vgg/data/pets/data)",
    into="oxford-iiit-pet",
    of="OxfordIIITPet",
)


class OxfordPets(ListedImages):
    """Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman and Jawahar, CVPR 2012); judged by the mean of the classes' accuracies.

    `trainval` and `test` are the published lists `annotations/trainval.txt` and `test.txt`, 3,680 and 3,669 images. `val` is
    held out from `trainval`, a fifth of each class (`sslkit.datasets.partition`), and `train` is the rest. Some files are
    called `.jpg` and are none; they are read as what they are.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `oxford-iiit-pet`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "mean_per_class"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="oxford_pets")
        folder = placed(SOURCE, root, download=download)
        lists = {"train": folder / "annotations" / "trainval.txt", "test": folder / "annotations" / "test.txt"}
        breeds = sorted({_breed(line) for line in read_lines(lists["train"])}, key=str.lower)
        images = completed(split, lambda part: read_list(lists[part], _entry, breeds))
        classes = tuple(breed.replace("_", " ") for breed in breeds)
        self._hold(folder / "images", images, classes, on_unreadable=on_unreadable)


def _breed(line: str) -> str:
    return line.partition(" ")[0].rpartition("_")[0]


def _entry(line: str) -> tuple[str, str]:
    """`Abyssinian_100 1 1 1`: the file, which begins with its breed; then breed, species and breed within it as numbers."""
    image, _, _, _ = line.split(" ")
    return f"{image}.jpg", _breed(line)
