"""Placed files: where the files of a dataset lie that torchvision knows, and what to do if they don't."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sslkit.datasets.torchvision_files import fetched
from sslkit.errors import DataError


class Source(NamedTuple):
    """Where the files of a dataset lie, and where they come from.

    Attributes:
        dataset: its name in a recipe, for messages.
        folder: where torchvision puts its files, below `root`.
        holds: files and folders that have to be in it.
        archives: what is unpacked, and who offers it, for messages.
        into: the folder below `root` in which it is unpacked.
        of: the class in `torchvision.datasets` that downloads it, if one can.
        options: what that class needs to know, beside `root` and `download`.
    """

    dataset: str
    folder: str
    holds: tuple[str, ...]
    archives: str
    into: str = ""
    of: str | None = None
    options: Mapping[str, Any] = {}


def placed(source: Source, root: Path, *, download: bool = False) -> Path:
    """The folder that holds a dataset's files: `root/<folder>`, or `root` itself; DataError if neither does.

    With `download`, torchvision fetches and unpacks what is in neither place; it compares the md5 of each archive with the one
    that it knows of it. Files that lie there already are taken as they are.
    """
    found = _find(source, root)
    if found is not None:
        return found
    folder = root / source.folder
    advice = (
        f"Unpack {source.archives} in {str(root / source.into)!r}, or set data.root to the folder that holds {source.folder!r}."
    )
    if source.of is not None and download:
        fetched(source.of, root, dataset=source.dataset, advice=advice, options={**source.options, "download": True})
        found = _find(source, root)
        if found is not None:
            return found
    missing = [name for name in source.holds if not (folder / name).exists()]
    offer = " Or set data.download = true." if source.of is not None and not download else ""
    raise DataError(f"dataset {source.dataset!r}: {str(folder)!r} has no {' and no '.join(missing)}. {advice}{offer}")


def _find(source: Source, root: Path) -> Path | None:
    for place in (root / source.folder, root):
        if all((place / name).exists() for name in source.holds):
            return place
    return None
