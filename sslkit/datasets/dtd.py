"""DTD, the Describable Textures Dataset: 5,640 photographs of textures, in 47 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.lists import read_lines, read_list
from sslkit.datasets.partition import published
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable

SOURCE = Source(
    dataset="dtd",
    folder="dtd/dtd",
    holds=("images", "labels/train1.txt", "labels/val1.txt", "labels/test1.txt"),
    archives="dtd-r1.0.1.tar.gz (from https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz)",
    into="dtd",
    of="DTD",
)


class DTD(ListedImages):
    """DTD (Cimpoi, Maji, Kokkinos, Mohamed and Vedaldi, CVPR 2014), its first published partition; judged by top-1.

    `train`, `val` and `test` are the published lists `labels/train1.txt` and so on, 1,880 images each; `trainval` is the first
    two together. Nine more partitions were published; the paper takes the first (arXiv:2002.05709, appendix B.8).

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `dtd/dtd`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "top1"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="dtd")
        folder = placed(SOURCE, root, download=download)
        classes = sorted({line.split("/")[0] for line in read_lines(folder / "labels" / "train1.txt")})
        images = published(split, lambda part: read_list(folder / "labels" / f"{part}1.txt", _entry, classes))
        self._hold(folder / "images", images, tuple(classes), on_unreadable=on_unreadable)


def _entry(line: str) -> tuple[str, str]:
    """`banded/banded_0002.jpg`: the class, which is the folder, and the file."""
    of_class, _ = line.split("/")
    return line, of_class
