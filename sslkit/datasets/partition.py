"""Partition: which images are for training, validation and test, by published lists, or else by a rule of ours.

The transfer evaluation chooses on `val` what it learnt on `train`, then learns once more on both, `trainval`, and is judged on
`test` (arXiv:2002.05709, appendix B.8). Some datasets were published with a validation split; of the others the paper holds out
a part of the training split and does not say how large, nor which. Here it is a fifth of each class, to the nearest image.

The datasets of small images, whose `train` everybody takes whole, have a fixed tenth of each class of it as `val`, and what is
left as `train_without_val`: to learn from that one, and choose on `val`, before anything is learnt from `train` and tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Int64

from sslkit import draws

SPLITS = ("train", "val", "trainval", "test")

Label = int | tuple[int, ...]
Labelled = Mapping[str, Label]  # the name of a file -> its class, or 1, 0 or -1 for each class
Read = Callable[[str], Labelled]

_PARTS = {"train": ("train",), "val": ("val",), "trainval": ("train", "val"), "test": ("test",)}


def published(split: str, read: Read) -> Labelled:
    """The images of a split of which `read` knows the published parts `train`, `val` and `test`."""
    return {name: label for part in _PARTS[split] for name, label in read(part).items()}


def completed(split: str, read: Read) -> Labelled:
    """The images of a split of which `read` knows `train` and `test` only: `val` is held out from `train`."""
    found = read("test" if split == "test" else "train")
    if split in ("test", "trainval"):
        return found
    names = sorted(found)
    out = held_out(np.array([found[name] for name in names], dtype=np.int64))
    return {name: found[name] for name, is_out in zip(names, out.tolist(), strict=True) if is_out == (split == "val")}


def held_out(labels: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Whether each image is held out for validation: a fifth of each class, `floor(count / 5 + 1 / 2)`.

    A pure function of the labels in the order of the images' names.
    """
    return of_each_class(labels, lambda count: (2 * count + 5) // 10, address="held_out")


WITH_TENTH = ("train", "val", "train_without_val", "test")


def tenth(split: str, labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " m"]:
    """The rows that a split has of the training images: all in `train`, in `val` a tenth of each class, to the nearest image.

    A pure function of the labels in the order in which they are stored.
    """
    if split == "train":
        return np.arange(len(labels))
    out = of_each_class(labels, lambda count: (count + 5) // 10, address="tenth")
    return np.flatnonzero(out if split == "val" else ~out)


def of_each_class(labels: Int64[np.ndarray, " n"], number: Callable[[int], int], *, address: str) -> Bool[np.ndarray, " n"]:
    """Whether each image is among the first `number(count)` of its class, in an order that is drawn at a fixed address.

    Args:
        labels: the class of each image.
        number: how many to take of a class with so many images.
        address: the draws it depends on.
    """
    order = draws.shuffled(len(labels), address)
    taken = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = order[labels[order] == label]
        taken[rows[: number(len(rows))]] = True
    return taken
