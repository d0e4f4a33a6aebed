"""Folders of images: which files they hold, which splits and which classes.

Hidden files and folders (`.name`) are skipped, links are followed. What looks like an image but is no regular file (a broken
link, a pipe) is an error: to skip it would be to train on less than was asked for.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from sslkit.datasets.headers import EXTENSIONS
from sslkit.datasets.splits import no_split
from sslkit.errors import DataError, did_you_mean, listed

ALIASES = (("train", "training"), ("val", "valid", "validation"), ("test", "testing"))
_ENDINGS = tuple(extension.encode() for extension in EXTENSIONS)


class Listing(NamedTuple):
    """The images of a folder: names relative to it, sorted, as bytes in one array `(n,)`; and their classes, if it has any."""

    folder: Path
    names: np.ndarray
    labels: Int64[np.ndarray, " n"] | None
    classes: tuple[str, ...] | None


def split_folder(root: Path, split: str, *, dataset: str) -> Path:
    """The folder of a split: `root/<split>` or an alias of it; `root` itself is `train` if it has no split folders.

    Raises:
        DataError: `root` is no folder, or has no such split, or two folders of its meaning.
    """
    check_root(root)
    folders = subfolders(root)
    if split in folders:
        return root / split
    meant = next((names for names in ALIASES if split.lower() in names), ())
    found = [name for name in folders if name.lower() in meant]
    if len(found) > 1:
        raise DataError(f"data.root: {str(root)!r} has {listed(found)}, which all mean {split!r}; name one of them.")
    if found:
        return root / found[0]
    known = [name for name in folders if any(name.lower() in names for names in ALIASES)]
    if not known and "train" in meant:
        return root
    raise no_split(split, known or ["train"], dataset=dataset, where=f" in {str(root)!r}")


def check_root(root: Path) -> None:
    """Raise DataError if `root` can't be listed; if it does not exist, with the nearest name among its siblings."""
    try:
        os.scandir(root).close()
        return
    except NotADirectoryError as error:
        raise DataError(f"data.root: is a file, not a folder: {str(root)!r}.") from error
    except FileNotFoundError:
        missing = root
    except OSError as error:
        raise DataError(f"data.root: {str(root)!r} can't be read: {error.strerror}.") from error
    while not missing.parent.is_dir():
        missing = missing.parent
    where = "" if missing == root else f"; {str(missing.parent)!r} has no {missing.name!r}"
    near = did_you_mean(missing.name, subfolders(missing.parent))
    raise DataError(f"data.root: no such folder: {str(root)!r}{where}.{near}")


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError as error:
        raise DataError(f"{str(folder)!r}: can't be read: {error.strerror}.") from error
    return sorted(names, key=os.fsencode)


def list_images(folder: Path) -> Listing:
    """The images of `folder/<class>/**`, labelled in the order of the sorted classes, or of `folder` alone, unlabelled.

    Raises:
        DataError: there are no images, a class has none, or images lie beside the classes.
    """
    classes = subfolders(folder)
    if not classes:
        return Listing(folder, np.array(images_below(folder)), None, None)
    files = [path.name for path in folder.iterdir() if path.name not in classes and not path.name.startswith(".")]
    beside = sorted(name for name in files if _is_image(os.fsencode(name)))
    if beside:
        both = f"images ({beside[0]!r} and {len(beside) - 1} more) and folders ({classes[0]!r} and {len(classes) - 1} more)"
        raise DataError(f"{str(folder)!r}: holds {both}; put the images into folders, one a class, or remove the folders.")
    found = {name: images_below(folder / name) for name in classes}
    names = [os.fsencode(name) + b"/" + image for name, images in found.items() for image in images]
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(images) for images in found.values()])
    return Listing(folder, np.array(names), labels, tuple(classes))


def images_below(folder: Path) -> list[bytes]:
    """The names of all images in a folder and its sub-folders, relative to it, sorted; DataError if there are none."""
    try:
        files = list(_walk(folder, b"", frozenset()))
    except OSError as error:
        raise DataError(f"{str(error.filename)!r}: can't be read: {error.strerror}.") from error
    images = sorted(name for name in files if _is_image(name))
    if not images:
        kinds = Counter(Path(os.fsdecode(name)).suffix for name in files).most_common(3)
        found = ", ".join(f"{count} {ending!r}" for ending, count in kinds) or "no files"
        raise DataError(f"{str(folder)!r}: holds no images (looked for {', '.join(EXTENSIONS)}; found {found}).")
    return images


def _is_image(name: bytes) -> bool:
    return name.lower().endswith(_ENDINGS)


def _walk(folder: Path, prefix: bytes, above: frozenset[tuple[int, int]]) -> Iterator[bytes]:
    """All files in a folder, their names behind a prefix; `above` are the folders that led here, by device and number."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{str(folder)!r}: is a link to a folder that it lies in.")
    with os.scandir(folder) as entries:
        for entry in entries:
            name = os.fsencode(entry.name)
            if name.startswith(b"."):
                continue
            if entry.is_dir():
                yield from _walk(Path(entry.path), prefix + name + b"/", above | {here})
            elif entry.is_file():
                yield prefix + name
            elif _is_image(name):
                what = "a broken link" if entry.is_symlink() and not Path(entry.path).exists() else "a pipe, socket or device"
                raise DataError(f"{entry.path!r}: is not a file but {what}.")
