"""Datasets: where images come from.

A dataset is built for one `split`. It has `len`, `.channels` (1 or 3), `.labels` (int64 `(n,)`, or None), `.classes` (names,
or None), `sizes(indices)`, the `(height, width)` of each image as it is read, and `read(index, reduction)`, one uint8 image
`(h, w, c)`, RGB or grey. `reduction` in 1, 2, 4, 8 allows a decoder to give the image at that fraction of its size; it may
ignore it. Labels may also be int64 `(n, c)`, one column a class: 1 where an image shows it, 0 where not, -1 where that is left
open. `.splits`, on the class, names the splits that can be asked for; any other raises `sslkit.errors.UnknownSplit`. A dataset
may have `.metric`, on the class, the number by which transfer to it is judged: `top1`, `mean_per_class` or `map`. A dataset
that goes on without images that can't be read has `.unreadable`, which fills while it is read: the number of an image -> why.
`.origins`, uint64 `(n,)`, says which stored image each is (`sslkit.datasets.origins`), so that splits which share some can be
told; `.contents`, a string, changes with the images (`sslkit.datasets.contents`), so that features of other images are not
taken for theirs, and a run does not go on with others; `.inventory` says which files they are (`sslkit.datasets.inventory`), so
that it can name those that changed.
"""

from typing import Annotated, Literal

from annotated_types import Ge, Gt

from sslkit.registry import Registry

registry = Registry(
    kind="datasets",
    one="dataset",
    builtins={
        "caltech101": "sslkit.datasets.caltech101:Caltech101",
        "cifar10": "sslkit.datasets.cifar10:CIFAR10",
        "cifar100": "sslkit.datasets.cifar100:CIFAR100",
        "dtd": "sslkit.datasets.dtd:DTD",
        "fashion_mnist": "sslkit.datasets.fashion_mnist:FashionMNIST",
        "fgvc_aircraft": "sslkit.datasets.fgvc_aircraft:FGVCAircraft",
        "flowers102": "sslkit.datasets.flowers102:Flowers102",
        "food101": "sslkit.datasets.food101:Food101",
        "image_folder": "sslkit.datasets.image_folder:ImageFolder",
        "imagenet": "sslkit.datasets.imagenet:ImageNet",
        "mnist": "sslkit.datasets.mnist:MNIST",
        "oxford_pets": "sslkit.datasets.oxford_pets:OxfordPets",
        "shapes": "sslkit.datasets.shapes:Shapes",
        "stanford_cars": "sslkit.datasets.stanford_cars:StanfordCars",
        "stl10": "sslkit.datasets.stl10:STL10",
        "sun397": "sslkit.datasets.sun397:SUN397",
        "voc2007": "sslkit.datasets.voc2007:VOC2007",
    },
    offered=("split",),
    takes={"__len__": 0, "sizes": 1, "read": 2},
    options={
        "split": (str, "train"),
        "limit": (Annotated[int, Gt(0)] | None, None),
        "workers": (Annotated[int, Ge(0)] | Literal["auto"], "auto"),
    },
)
