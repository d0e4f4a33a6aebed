"""Origins: which stored images a split holds, so that two splits that share some can be told, whatever they are called.

A dataset may have `.origins (n,)`: one number an image, the same in every split that holds the same stored image. It is told by
where an image lies, not by its pixels: a copy under another name is another image here, and so is a hard link.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt64

from sslkit import draws

Origins = UInt64[np.ndarray, " n"]


def of_rows(rows: Int64[np.ndarray, " n"], *place: int | str) -> Origins:
    """Those of rows of an array; `place` says which array, as `("cifar10", "train")`."""
    return draws.hashes(rows, "origins", *place)


def of_files(folder: Path, names: np.ndarray) -> Origins:
    """Those of files, wherever links lead; each folder is looked into once, and no file is opened.

    Args:
        folder: where they are.
        names: relative to it, as bytes `(n,)`.
    """
    known: dict[bytes, tuple[bytes, frozenset[bytes]]] = {}  # a folder as it is named -> where it lies, and the links in it
    found = np.empty(len(names), np.uint64)
    for number, name in enumerate(names.tolist()):
        below, _, file = name.rpartition(b"/")
        if below not in known:
            known[below] = _looked_into(os.path.join(os.fsencode(folder), below))  # noqa: PTH118 - a million bytes
        lies, links = known[below]
        path = lies + b"/" + file
        if file in links:
            path = os.path.realpath(path)
        found[number] = int.from_bytes(blake2b(path, digest_size=8).digest(), "little")
    return found


def _looked_into(folder: bytes) -> tuple[bytes, frozenset[bytes]]:
    lies = os.path.realpath(folder)
    with os.scandir(lies) as entries:
        return lies, frozenset(entry.name for entry in entries if entry.is_symlink())


def origins_of(images: object) -> Origins | None:
    """Those of a dataset; None where it does not tell."""
    found: Origins | None = getattr(images, "origins", None)
    return found


def num_shared(first: object, second: object) -> int:
    """How many stored images two datasets share, as far as both tell."""
    ours, theirs = origins_of(first), origins_of(second)
    return 0 if ours is None or theirs is None else len(np.intersect1d(ours, theirs))
