"""Files that may come from strangers: opened without waiting, and read only up to a size that their kind can have."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class UnfitFile(OSError):
    """A file that is not read: it is none, or has more bytes than its kind ever has; `strerror` says which."""

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(errno.EINVAL, reason, str(path))


@contextmanager
def opened(path: Path, *, most: int, what: str) -> Iterator[tuple[io.BufferedReader, int]]:
    """A regular file for reading, and its size in bytes; links are followed.

    A pipe or a device is refused before it is opened: opening the one waits for whoever writes, and the other may do anything.

    Args:
        path: the file.
        most: bytes.
        what: such files in words, for the message: `a recipe`.

    Raises:
        UnfitFile: it is no regular file, or has more than `most` bytes.
        OSError: the system refuses it.
    """
    _check(path, path.stat(), most=most, what=what)
    # Somebody may have put a pipe there since: then this does not wait, and what was opened is looked at.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        _check(path, status, most=most, what=what)
        yield file, status.st_size


def read(path: Path, *, most: int, what: str) -> bytes:
    """All bytes of a regular file; raises as `opened` does."""
    with opened(path, most=most, what=what) as (file, size):
        return file.read(size)


def _check(path: Path, status: os.stat_result, *, most: int, what: str) -> None:
    for is_kind, name in _KINDS:
        if is_kind(status.st_mode):
            raise UnfitFile(f"it is {name}, not a file", path)
    if status.st_size > most:
        raise UnfitFile(f"it has {status.st_size:,} bytes, and {what} has at most {most:,}", path)
