"""Contents: what says that the images of a split are still the ones they were, without reading all of them.

A dataset may have `.contents`, a string that changes with its images. Of image files it is made of their names, the size in
bytes of each, and all bytes of 64 of them, evenly taken: no file more is opened, so ImageNet's take a few seconds. It does not
see a file that was replaced by another of the same name and exactly the same size and is none of the 64; files that are not
compressed are often of one size. Of an array it is made of all bytes, of drawn images of what they are drawn from. Of a
dataset that has no such string 64 images are read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from jaxtyping import Int64

from sslkit import bounded
from sslkit.datasets.headers import MOST_BYTES
from sslkit.datasets.images import Images
from sslkit.datasets.inventory import Inventory, inventory_of
from sslkit.errors import DataError

_SAMPLES = 64
_ROWS = 1024  # images hashed at a time


def contents_of(images: Images) -> str:
    """That of any dataset."""
    own: str | None = getattr(images, "contents", None)
    if own is not None:
        return own
    return _digest(part for index in _sampled(len(images)) for part in _pixels(images.read(index, 1)))


def of_files(inventory: Inventory) -> str:
    """That of image files; DataError if one of those that are opened can't be read."""
    try:
        paths = [inventory.path(index) for index in _sampled(len(inventory.names))]
        sampled = [bounded.read(path, most=MOST_BYTES, what="an image") for path in paths]
    except OSError as error:
        raise DataError(f"{os.fsdecode(error.filename)!r}: can't be read: {error.strerror}.") from error
    return _digest([b"\n".join(inventory.names.tolist()), inventory.sizes.tobytes(), *sampled])


def of_rows(images: Images, rows: Int64[np.ndarray, " m"]) -> str | None:
    """That of some images of a dataset; None where the dataset has no such string, so that images have to be looked at."""
    if (files := inventory_of(images)) is not None:
        return of_files(files.rows(rows))
    own: str | None = getattr(images, "contents", None)
    return own and _digest([own.encode(), rows.tobytes()])


def of_array(images: np.ndarray) -> str:
    """That of an array of images, `(n, ...)`, which need not lie in one piece."""
    blocks = (images[first : first + _ROWS] for first in range(0, len(images), _ROWS))
    return _digest(part for block in blocks for part in _pixels(block))


def _sampled(number: int) -> list[int]:
    """Up to 64 of so many, evenly taken, the first and the last among them."""
    return np.unique(np.linspace(0, max(0, number - 1), min(number, _SAMPLES)).astype(np.int64)).tolist()


def _pixels(images: np.ndarray) -> tuple[bytes, bytes]:
    return str(images.shape).encode(), images.tobytes()


def _digest(parts: Iterable[bytes]) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
