"""Whole files: bytes are put at their place whole or not at all, whatever happens on the way.

They are written beside their place, synced, renamed into it, and the folder is synced.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sslkit.errors import ResourceError


def write(path: Path, data: bytes) -> None:
    """Put bytes at `path` atomically: the file is the old one or the new one, whole, whatever happens."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new(beside) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # what is reported is why it could not be written
            beside.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        kept = f" {path.name} from before is intact." if path.exists() else ""
        room = f"{len(data) / 2**20:.1f} MiB needed, {free / 2**20:.1f} MiB free"
        raise ResourceError(f"{path}: can't be written: {error.strerror} ({room}).{kept}") from error


def new(path: Path) -> io.BufferedWriter:
    """A file that is empty and ours, open for writing; a link that lies there is removed and not followed."""
    try:
        return path.open("xb")
    except FileExistsError:  # a killed write left it, or somebody put it there
        path.unlink()
        return path.open("xb")


def temporary(folder: Path) -> Iterator[Path]:
    """The files in a folder that `write` was killed over, if nothing is being written there."""
    return folder.glob(".*.tmp")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
