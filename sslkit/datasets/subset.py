"""Subset: some images of a dataset, chosen as a pure function of a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit import draws
from sslkit.datasets.contents import of_rows
from sslkit.datasets.images import Images
from sslkit.datasets.inventory import Inventory, inventory_of
from sslkit.datasets.origins import Origins, origins_of
from sslkit.datasets.stand_in import unreadable_of
from sslkit.errors import DataError


class Subset:
    """The images of a dataset at `indices`, as a dataset of its own."""

    def __init__(self, images: Images, indices: Int64[np.ndarray, " m"]) -> None:
        self._images = images
        self._indices = indices
        self.channels = images.channels
        self.classes = images.classes
        self.labels: Int64[np.ndarray, "m *c"] | None = None if images.labels is None else images.labels[indices]

    @property
    def unreadable(self) -> dict[int, str]:
        """What the whole dataset has skipped so far, by the number it has there."""
        return unreadable_of(self._images)

    @property
    def origins(self) -> Origins | None:
        """Which stored image each is, if the dataset tells."""
        found = origins_of(self._images)
        return None if found is None else found[self._indices]

    @property
    def contents(self) -> str | None:
        """What changes with these images, if the dataset tells."""
        return of_rows(self._images, self._indices)

    @property
    def inventory(self) -> Inventory | None:
        """Which files they are, if the dataset tells."""
        found = inventory_of(self._images)
        return None if found is None else found.rows(self._indices)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._indices)

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """(height, width) of some images, in pixels."""
        return self._images.sizes(self._indices[indices])

    def read(self, index: int, reduction: int = 1) -> UInt8[np.ndarray, "h w c"]:
        """One image."""
        return self._images.read(int(self._indices[index]), reduction)


def limited(images: Images, limit: int | None, *, seed: int) -> Images:
    """At most `limit` images, the same ones whenever the seed is the same."""
    if limit is None or limit >= len(images):
        return images
    return Subset(images, np.sort(draws.shuffled(len(images), seed, "limit")[:limit]))


def share(labels: Int64[np.ndarray, " n"], fraction: float, *, seed: int) -> Int64[np.ndarray, " m"]:
    """Indices of a share of the images of each class, at least one of each, sorted; a larger share holds every smaller one."""
    order = draws.shuffled(len(labels), seed, "labels_per_class")
    of_class = [order[labels[order] == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([rows[: max(1, round(fraction * len(rows)))] for rows in of_class]))


def balanced(
    labels: Int64[np.ndarray, " n"], per_class: int, *, seed: int, split: str, classes: Sequence[str] | None = None
) -> Int64[np.ndarray, " m"]:
    """Indices of `per_class` images of each class, sorted; DataError where a class has fewer."""
    order = draws.shuffled(len(labels), seed, "labels_per_class")
    found = np.unique(labels)
    chosen = [order[labels[order] == label][:per_class] for label in found]
    fewest = min(range(len(found)), key=lambda i: len(chosen[i]))
    if len(chosen[fewest]) < per_class:
        label = int(found[fewest])
        name = repr(classes[label]) if classes is not None and 0 <= label < len(classes) else f"of label {label}"
        raise DataError(
            f"labels_per_class: asks for {per_class} images a class, and the class {name} of the split {split!r} has only "
            f"{len(chosen[fewest])}."
        )
    return np.sort(np.concatenate(chosen))
