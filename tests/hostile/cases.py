"""What a case of the corpus is, and bytes that several kinds need."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A hostile file: how it is made, and what sslkit must say of it; None where it is read and does nothing."""

    make: Callable[[Path], Path]
    says: str | None


class Shell:
    """Unpickled, it asks the shell to leave a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def evil_pickle(folder: Path, protocol: int = 2) -> bytes:
    return pickle.dumps({"weights": Shell(folder / "executed")}, protocol=protocol)


def evil_zip(folder: Path) -> bytes:
    """What torch.save writes: a zip archive with a pickle in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", evil_pickle(folder))
        archive.writestr("archive/version", "3\n")
    return packed.getvalue()


def put(name: str, data: Callable[[Path], bytes] | bytes) -> Callable[[Path], Path]:
    """A maker of a file with that content."""

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data if isinstance(data, bytes) else data(folder))
        return path

    return make


def tensors(header: dict | bytes, data: bytes = b"", facts: dict | str | None = None) -> bytes:
    """A file in the form of safetensors, whatever its header says."""
    if isinstance(header, dict):
        if facts is not None:
            header = {"__metadata__": {"sslkit": facts if isinstance(facts, str) else json.dumps(facts)}, **header}
        header = json.dumps(header).encode()
    return len(header).to_bytes(8, "little") + header + data


def entry(begin, end, shape=None, dtype="F32"):
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def pipe(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    return make


def directory(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    return make


def sparse(name: str, size: int, beginning: bytes = b"") -> Callable[[Path], Path]:
    """A file that says it is large, and takes no room."""

    def make(folder: Path) -> Path:
        with (folder / name).open("wb") as file:
            file.write(beginning)
            file.truncate(size)
        return folder / name

    return make


def leading(name: str, target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return make
