"""Inventory: of which files a split is made, so that those that came, went or changed can be named.

A dataset of files may have `.inventory`. It holds what a folder says of each file without opening it: name and size, in the
order of the images, and no date. Dates say when a file was copied, not what is in it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from sslkit.errors import DataError


class Inventory(NamedTuple):
    """The files of a split: names relative to `folder`, as bytes in one array `(n,)`, and the bytes that each takes."""

    folder: Path
    names: np.ndarray
    sizes: Int64[np.ndarray, " n"]

    def rows(self, indices: Int64[np.ndarray, " m"]) -> Inventory:
        """Some of the files, in this order."""
        return Inventory(self.folder, self.names[indices], self.sizes[indices])

    def path(self, index: int) -> Path:
        """Where a file lies."""
        return self.folder / os.fsdecode(bytes(self.names[index]))


def inventory(folder: Path, names: np.ndarray) -> Inventory:
    """The inventory of files; DataError if one is not there. A link counts as what it leads to."""
    paths = (os.path.join(os.fsencode(folder), name) for name in names.tolist())  # noqa: PTH118 - a million bytes
    try:
        sizes = np.fromiter((os.stat(path).st_size for path in paths), dtype=np.int64, count=len(names))  # noqa: PTH116
    except OSError as error:
        raise DataError(f"{os.fsdecode(error.filename)!r}: can't be read: {error.strerror}.") from error
    return Inventory(folder, names, sizes)


def inventory_of(images: object) -> Inventory | None:
    """That of a dataset; None where it does not tell."""
    found: Inventory | None = getattr(images, "inventory", None)
    return found
