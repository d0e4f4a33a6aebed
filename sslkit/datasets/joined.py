"""Joined: the images of two splits as one, for a last training on all that is labelled."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.images import Images
from sslkit.datasets.origins import Origins, origins_of
from sslkit.errors import DataError


class Joined:
    """The images of `first`, then those of `second`.

    What is skipped of them the two have met before, each while settings were chosen, and tell.

    Raises:
        DataError: they differ in channels or classes, or only one of them has labels, or several an image.
    """

    def __init__(self, first: Images, second: Images) -> None:
        for what in ("channels", "classes"):
            if getattr(first, what) != getattr(second, what):
                raise DataError(f"two splits with different {what} can't be joined.")
        if (first.labels is None) != (second.labels is None):
            raise DataError("a split with labels and one without can't be joined.")
        if first.labels is not None and second.labels is not None and first.labels.shape[1:] != second.labels.shape[1:]:
            raise DataError("a split with one label an image and one with several can't be joined.")
        self._first, self._second = first, second
        self.channels, self.classes = first.channels, first.classes
        both = None if first.labels is None or second.labels is None else np.concatenate([first.labels, second.labels])
        self.labels: Int64[np.ndarray, "n *c"] | None = both

    @property
    def origins(self) -> Origins | None:
        """Which stored image each is, if both tell."""
        first, second = origins_of(self._first), origins_of(self._second)
        return None if first is None or second is None else np.concatenate([first, second])

    def __len__(self) -> int:
        """Number of images."""
        return len(self._first) + len(self._second)

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """(height, width) of some images, in pixels."""
        found = np.empty((len(indices), 2), dtype=np.int64)
        inside = indices < len(self._first)
        found[inside] = self._first.sizes(indices[inside])
        found[~inside] = self._second.sizes(indices[~inside] - len(self._first))
        return found

    def read(self, index: int, reduction: int = 1) -> UInt8[np.ndarray, "h w c"]:
        """One image."""
        if index < len(self._first):
            return self._first.read(index, reduction)
        return self._second.read(index - len(self._first), reduction)
