"""Oxford 102 Flowers: 8,189 photographs of flowers, in 102 classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from sslkit.datasets.images import Metric
from sslkit.datasets.listed import ListedImages
from sslkit.datasets.lists import numbered
from sslkit.datasets.matlab import check_scipy, read_mat
from sslkit.datasets.partition import Labelled, published
from sslkit.datasets.placed import Source, placed
from sslkit.datasets.splits import check_split
from sslkit.datasets.stand_in import OnUnreadable
from sslkit.errors import DataError

SOURCE = Source(
    dataset="flowers102",
    folder="flowers-102",
    holds=("jpg", "imagelabels.mat", "setid.mat"),
    archives="102flowers.tgz, imagelabels.mat and setid.mat (from https://www.robots.ox.ac.uk/~vgg/data/flowers/102)",
    into="flowers-102",
    of="Flowers102",
)
PARTS = {"train": "trnid", "val": "valid", "test": "tstid"}
CLASSES = (
    "pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea", "english marigold", "tiger lily",
    "moon orchid", "bird of paradise", "monkshood", "globe thistle", "snapdragon", "colt's foot", "king protea",
    "spear thistle", "yellow iris", "globe-flower", "purple coneflower", "peruvian lily", "balloon flower",
    "giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger", "grape hyacinth", "corn poppy",
    "prince of wales feathers", "stemless gentian", "artichoke", "sweet william", "carnation", "garden phlox",
    "love in the mist", "mexican aster", "alpine sea holly", "ruby-lipped cattleya", "cape flower", "great masterwort",
    "siam tulip", "lenten rose", "barbeton daisy", "daffodil", "sword lily", "poinsettia", "bolero deep blue", "wallflower",
    "marigold", "buttercup", "oxeye daisy", "common dandelion", "petunia", "wild pansy", "primula", "sunflower", "pelargonium",
    "bishop of llandaff", "gaura", "geranium", "orange dahlia", "pink-yellow dahlia?", "cautleya spicata", "japanese anemone",
    "black-eyed susan", "silverbush", "californian poppy", "osteospermum", "spring crocus", "bearded iris", "windflower",
    "tree poppy", "gazania", "azalea", "water lily", "rose", "thorn apple", "morning glory", "passion flower", "lotus",
    "toad lily", "anthurium", "frangipani", "clematis", "hibiscus", "columbine", "desert-rose", "tree mallow", "magnolia",
    "cyclamen", "watercress", "canna lily", "hippeastrum", "bee balm", "ball moss", "foxglove", "bougainvillea", "camellia",
    "mallow", "mexican petunia", "bromelia", "blanket flower", "trumpet creeper", "blackberry lily",
)  # fmt: skip


class Flowers102(ListedImages):
    """Oxford 102 Flowers (Nilsback and Zisserman, ICVGIP 2008); judged by the mean of the classes' accuracies.

    `train`, `val` and `test` are the published lists in `setid.mat`, 1,020, 1,020 and 6,149 images; `trainval` is the first two
    together. Those lists and the labels, in `imagelabels.mat`, are MATLAB files, which scipy reads. They hold no names of the
    classes; the names here are torchvision's.

    Args:
        split: `train`, `val`, `trainval` or `test`.
        root: the folder that holds `flowers-102`, or is it, or gets it.
        download: whether torchvision may download files that are absent.
        on_unreadable: an image that can't be read stops the run, or is skipped, as `image_folder` does it.

    Raises:
        DataError: there is no such split, files are absent or damaged, or scipy is not installed.
    """

    metric: ClassVar[Metric] = "mean_per_class"

    def __init__(
        self, split: str, *, root: Path = Path("data"), download: bool = False, on_unreadable: OnUnreadable = "fail"
    ) -> None:
        check_split(split, self.splits, dataset="flowers102")
        check_scipy("flowers102")
        folder = placed(SOURCE, root, download=download)
        images = published(split, lambda part: _read(folder, part))
        self._hold(folder / "jpg", images, CLASSES, on_unreadable=on_unreadable)


def _read(folder: Path, part: str) -> Labelled:
    """The images of a split; images and classes both count from 1."""
    path, labels = folder / "setid.mat", read_mat(folder / "imagelabels.mat", "labels")
    numbers = read_mat(path, PARTS[part])
    if not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 1 or numbers.max() > len(labels):
        raise DataError(f"{str(path)!r}: {PARTS[part]} should hold numbers of images, from 1 to {len(labels)}.")
    numbers = numbers.astype(np.int64)
    names = [f"image_{number:05}.jpg" for number in numbers.tolist()]
    return numbered(folder / "imagelabels.mat", names, labels[numbers - 1].tolist(), num_classes=len(CLASSES))
