"""Stand-ins: what takes the place of an image that can't be read, if the user wants to go on without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.files import ImageFiles
from sslkit.datasets.headers import damaged
from sslkit.datasets.inventory import Inventory
from sslkit.datasets.origins import Origins
from sslkit.errors import DataError

OnUnreadable = Literal["fail", "skip"]
Labels = Int64[np.ndarray, "n *c"]
Found = TypeVar("Found")

_TRIES = 100  # so many behind one another are no accident
_SHOWN = 5


class StandIns:
    """Image files of which the next readable one of the same class stands in for one that can't be read.

    Which one is a pure function of the files, so views depend on neither batch nor worker, and the number of images stays: a
    file that breaks in the middle of a training moves no other image and no step. What the system refuses (a missing file, no
    permission, too many open files) is not skipped.

    Args:
        files: where they are.
        labels: the class of each, or 1, 0 or -1 for each of many classes; or None.

    Attributes:
        unreadable: what was met so far: the number of an image -> the complaint.
    """

    def __init__(self, files: ImageFiles, labels: Labels | None) -> None:
        self._files = files
        self._labels = labels
        self.channels = files.channels
        self.path = files.path
        self.unreadable: dict[int, str] = {}
        self._headless: dict[int, str] = {}

    def __len__(self) -> int:
        """The number of files, unreadable ones counted."""
        return len(self._files)

    @property
    def origins(self) -> Origins:
        """Which stored image each is, whatever stands in for it."""
        return self._files.origins

    @property
    def contents(self) -> str:
        """What changes with the images."""
        return self._files.contents

    @property
    def inventory(self) -> Inventory:
        """Which files they are."""
        return self._files.inventory

    def sizes(self, indices: Int64[np.ndarray, " k"]) -> Int64[np.ndarray, "k 2"]:
        """`(height, width)` of each image asked for, from its header; from the next one's if it has none that can be read."""
        found = [self._readable(index, self._size, self._headless) for index in indices.tolist()]
        self.unreadable.update(self._headless)
        return np.array(found, dtype=np.int64).reshape(-1, 2)

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image, or, at full size, what stands in for it, stretched to the height and width that are said of it."""
        own = self._readable(index, lambda at: self._files.read(at, reduction if at == index else 1), self.unreadable)
        if index not in self.unreadable:
            return own
        height, width = self.sizes(np.array([index]))[0].tolist()
        return cv2.resize(own, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, self.channels)

    def _size(self, index: int) -> Int64[np.ndarray, " 2"]:
        size: Int64[np.ndarray, " 2"] = self._files.sizes(np.array([index]))[0]
        return size

    def _readable(self, index: int, look: Callable[[int], Found], known: dict[int, str]) -> Found:
        """What is seen at an image, or at the next one of its class where it can be seen; behind the last comes the first.

        Raises:
            DataError: the complaint of the image itself, if none of a hundred others can be read.
        """
        for at in islice(self._like(index), _TRIES):
            if at not in known:
                try:
                    return look(at)
                except DataError as error:
                    if not damaged(error):
                        raise
                    known[at] = str(error)
        raise DataError(f"{known[index]} No other image of its class that can be read was found to stand in for it.")

    def _like(self, index: int) -> Iterator[int]:
        """The image itself, then those of its class, or of the very same classes."""
        yield index  # nearly always the only one that is asked for
        alike = np.arange(len(self))
        if self._labels is not None:
            alike = np.flatnonzero((self._labels == self._labels[index]).reshape(len(self), -1).all(axis=1))
        own = int(np.searchsorted(alike, index))
        yield from (int(at) for at in (*alike[own + 1 :], *alike[:own]))


def image_files(
    folder: Path, names: np.ndarray, *, channels: int, labels: Labels | None, on_unreadable: OnUnreadable
) -> ImageFiles | StandIns:
    """The files, with stand-ins if what can't be read is skipped."""
    if on_unreadable == "skip":
        return StandIns(ImageFiles(folder, names, channels=channels), labels)
    return ImageFiles(folder, names, channels=channels, advice='Set data.on_unreadable = "skip" to go on without such files.')


def unreadable_of(images: object) -> dict[int, str]:
    """What a dataset has skipped so far: the number of an image -> why; one that skips nothing need not have it."""
    found: dict[int, str] = getattr(images, "unreadable", {})
    return found


def complaints_of(datasets: Iterable[object]) -> list[str]:
    """Of each image that was skipped, why, sorted; an image that several datasets met counts once."""
    return sorted({complaint for images in datasets for complaint in unreadable_of(images).values()})


def skipped(datasets: Iterable[object]) -> list[str]:
    """What a user should know at the end: how many images were skipped, and why the first of them; nothing if none was."""
    complaints = complaints_of(datasets)
    if not complaints:
        return []
    more = [f"  and {len(complaints) - _SHOWN} more"] if len(complaints) > _SHOWN else []
    return [f"images that could not be read, and others stood in for: {len(complaints)}", *complaints[:_SHOWN], *more]
