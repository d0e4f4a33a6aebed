"""FGVC-Aircraft: 10,000 photographs of aeroplanes, in 100 variants."""

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
    dataset="fgvc_aircraft",
    folder="fgvc-aircraft-2013b",
    holds=("data/images", "data/variants.txt", *(f"data/images_variant_{part}.txt" for part in ("train", "val", "test"))),
    archives="fgvc-aircraft-2013b.tar.gz (from https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives)",
    of="FGVCAircraft",
)


class FGVCAircraft(ListedImages):
    """FGVC-Aircraft (arXiv:1306.5151), 2013b, its 100 variants as classes; judged by the mean of the classes' accuracies.

    `train`, `val` and `test` are the published lists `data/images_variant_train.txt` and so on, 3,334, 3,333 and 3,333 images;
    `trainval` is the first two together. Each image has a line of text at its lower edge that names who took it; it stays.
    torchvision has no md5 of the archive, so what is downloaded is not compared with one.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `fgvc-aircraft-2013b`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, or files are absent or damaged.
    """

    metric: ClassVar[Metric] = "mean_per_class"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="fgvc_aircraft")
        folder = placed(SOURCE, root, download=download) / "data"
        classes = read_lines(folder / "variants.txt")
        images = published(split, lambda part: read_list(folder / f"images_variant_{part}.txt", _entry, classes))
        self._hold(folder / "images", images, tuple(classes), on_unreadable=on_unreadable)


def _entry(line: str) -> tuple[str, str]:
    """`1025794 707-320`: the file, and the variant, which may have spaces."""
    image, variant = line.split(" ", 1)
    return f"{image}.jpg", variant
