"""Room: memory, shared memory, open files, and the disk at the run folder."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from sslkit import limits
from sslkit.doctor.findings import Asked, Finding, error, ok, size, warning
from sslkit.errors import SslkitError
from sslkit.lock import locked

SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps it
_LITTLE = 2**30
_FEW_FILES = 1024


def memory(_: Asked) -> Iterator[Finding]:
    """What the machine has, what can be had now, and what the control group allows."""
    found = limits.memory()
    limit = f", limited to {size(found.limit)} by the control group" if found.limit else ""
    text = f"{size(found.total)}{limit}, {'unknown' if found.available is None else size(found.available)} available"
    if found.available is not None and found.available < _LITTLE:
        yield warning("memory", text, "Torch alone takes half a GiB: end other programs, or raise the limit.")
    else:
        yield ok("memory", text)


def shared_memory(_: Asked) -> Iterator[Finding]:
    """Through it workers hand views over."""
    if not SHARED_MEMORY.is_dir():
        yield ok("shared memory", f"{SHARED_MEMORY} is not there; this system keeps it elsewhere")
        return
    usage = shutil.disk_usage(SHARED_MEMORY)
    text = f"{SHARED_MEMORY}, {size(usage.total)}, {size(usage.free)} free"
    if usage.free < _LITTLE:
        advice = "Workers hand views over through it: give more of it (docker: --shm-size=8g), or set data.workers = 0."
        yield warning("shared memory", text, advice)
    else:
        yield ok("shared memory", text)


def open_files(_: Asked) -> Iterator[Finding]:
    """How many files a process may have open."""
    soft, hard = (_counted(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    text = f"{soft} at once{f'; ulimit -n may raise that to {hard}' if soft != hard else ''}"
    if soft != "unlimited" and int(soft) < _FEW_FILES:
        yield warning("open files", text, f"Workers and their slots need several each: ulimit -n {_FEW_FILES} or more.")
    else:
        yield ok("open files", text)


def _counted(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def run_folder(asked: Asked) -> Iterator[Finding]:
    """Whether a run could write there, which is tried and leaves nothing behind, and how much."""
    folder, said = Path(asked.folder), list[str]()
    try:
        with locked(folder, say=said.append):
            free = shutil.disk_usage(folder).free
    except SslkitError as problem:
        yield error("run folder", str(problem))
        return
    except OSError as problem:
        yield error("run folder", f"{folder}: can't be written to: {problem.strerror}.", "Name another with -o FOLDER.")
        return
    text = f"{folder.absolute()} can be written to, {size(free)} free on its disk"
    if free < _LITTLE:
        yield warning("run folder", text, "Make room, or name another folder with -o FOLDER.")
    else:
        yield ok("run folder", text)
    for sentence in said:
        yield warning("run folder", sentence, "A local disk has locks.")
