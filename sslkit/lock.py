"""Lock: one process at a time writes into a run folder, and whoever comes second is told who is there.

The system holds the lock and drops it when its process ends, however it ends, so there is no stale one to be deleted by hand.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from sslkit.errors import RunFolderError

_NAME = ".lock"
_TAKEN = (errno.EACCES, errno.EAGAIN)
_UNKNOWN = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # to this file system


@contextlib.contextmanager
def locked(folder: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder for this process; it is made if it is not there, and goes again if nothing was put into it.

    Args:
        folder: the run folder.
        say: told where the file system has no locks, on which the folder is used without one.

    Raises:
        RunFolderError: another process holds it, or it can't be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder}: is a file, and a run needs a folder. Name another with -o FOLDER.")
    made = _missing(folder)
    file = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _held(file, say=say)
    except OSError as error:
        raise RunFolderError(f"{folder}: can't be written to: {error.strerror}. Name another folder with -o FOLDER.") from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # before it is let go, so that whoever waits for this very file sees that it is gone
        os.close(handle)
        _remove(made)


def _held(file: Path, *, say: Callable[[str], None]) -> int:
    """The handle of the locked file, with our name in it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            # Not flock: workers that are forked would hold that too, and outlive a killed run by seconds.
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                holder = _read(handle)
                os.close(handle)
                if error.errno not in _TAKEN:
                    raise
                raise RunFolderError(f"{file.parent}: {holder} Stop it, or name another folder with -o FOLDER.") from error
            say(f"{file.parent}: this file system has no locks ({error.strerror}); see that no second process uses the folder.")
        if _is_at(file, handle):
            break
        os.close(handle)  # its holder deleted it between our two steps
    about = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(about).encode(), 0)
    return handle


def _is_at(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _read(handle: int) -> str:
    """A sentence about who holds the lock; it may have written only a part of its name so far."""
    try:
        about: dict[str, Any] = json.loads(os.pread(handle, 1000, 0))
        return f"process {about['pid']} on {about['host']} has been using this folder since {about['since']}."
    except (ValueError, KeyError, TypeError, RecursionError):
        return "another process uses this folder."


def _missing(folder: Path) -> list[Path]:
    """The folders that have to be made for this one, the innermost first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _remove(made: list[Path]) -> None:
    """Take folders away again that nothing was put into."""
    for folder in made:
        with contextlib.suppress(OSError):  # there is something in it
            folder.rmdir()
