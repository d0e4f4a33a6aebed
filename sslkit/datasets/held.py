"""Many image files decoded once, and then held in memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.files import ImageFiles
from sslkit.datasets.stand_in import StandIns
from sslkit.errors import DataError

BLOCK = 64  # files a thread takes at once
NUM_THREADS = min(8, os.cpu_count() or 1)


class HeldImages:
    """Images of any size, one behind the other in one buffer.

    Args:
        buffer: all pixels.
        shapes: `(height, width)` of each image.
        channels: 3 for RGB, 1 for grey.
    """

    def __init__(self, buffer: UInt8[np.ndarray, " bytes"], shapes: Int64[np.ndarray, "n 2"], *, channels: int) -> None:
        self._buffer = buffer
        self._shapes = shapes
        self._ends = np.cumsum(shapes.prod(axis=1) * channels)
        self._channels = channels

    def __len__(self) -> int:
        """The number of images."""
        return len(self._shapes)

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for."""
        shapes: Int64[np.ndarray, "k 2"] = self._shapes[indices]
        return shapes

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:  # noqa: ARG002
        """One image at full size: a view of the buffer, which can't be written to."""
        image = self.place(index)
        image.flags.writeable = False
        return image

    def place(self, index: int) -> UInt8[np.ndarray, "h w c"]:
        """Where the pixels of an image belong."""
        height, width = self._shapes[index]
        end = self._ends[index]
        return self._buffer[end - height * width * self._channels : end].reshape(height, width, self._channels)


def held(files: ImageFiles | StandIns, max_bytes: int) -> HeldImages | None:
    """All files decoded by a few threads, or None, soon, if their pixels don't fit in `max_bytes`."""
    blocks = [np.arange(start, min(start + BLOCK, len(files)), dtype=np.int64) for start in range(0, len(files), BLOCK)]
    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        found, total = [], 0
        for block in pool.map(files.sizes, blocks):
            found.append(block)
            total += int(block.prod(axis=1).sum()) * files.channels
            if total > max_bytes:
                return None
        shapes = np.concatenate(found)
        images = HeldImages(np.empty(total, dtype=np.uint8), shapes, channels=files.channels)
        for _ in pool.map(lambda block: _decode_into(images, files, block), blocks):
            pass  # each turn raises what its thread raised
        return images
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_into(images: HeldImages, files: ImageFiles | StandIns, block: Int64[np.ndarray, " k"]) -> None:
    for index in block.tolist():
        place, pixels = images.place(index), files.read(index, 1)
        if place.shape != pixels.shape:
            raise DataError(f"{str(files.path(index))!r}: changed while it was read.")
        place[:] = pixels
