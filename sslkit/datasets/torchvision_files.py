"""Datasets that torchvision finds, checks and downloads: what can go wrong there becomes one sentence."""

from __future__ import annotations

import contextlib
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from sslkit.errors import DataError


def found_or_fetched(of: str, root: Path, *, dataset: str, download: bool, options: Mapping[str, Any]) -> Any:
    """A dataset of torchvision from the files in `root`, downloaded into it if they are absent and `download` allows it.

    torchvision compares the md5 of every file with the published one before it opens it.

    Args:
        of: the class in `torchvision.datasets`.
        root: where the files are, or go.
        dataset: the name of the dataset in a recipe, for messages.
        download: whether to fetch files that are absent or damaged.
        options: further parameters of torchvision's class.

    Raises:
        DataError: there are no whole files in `root`, and there was no way to get them.
    """
    import torchvision

    source = getattr(torchvision.datasets, of)
    advice = (
        f"Place {source.filename} (from {source.url}) in {str(root)!r} and set data.download = true to have it unpacked, "
        f"or set data.root to the folder that holds {source.base_folder!r}."
    )
    if (root / source.base_folder).is_dir() or not download:
        try:
            return source(root, download=False, **options)
        except (RuntimeError, OSError) as error:
            if not download:
                reason = f"no complete {source.base_folder!r} in {str(root)!r}, and data.download is false"
                raise DataError(f"dataset {dataset!r}: {reason}. {advice}") from error
    return fetched(of, root, dataset=dataset, advice=advice, options={**options, "download": True})


def fetched(of: str, root: Path, *, dataset: str, advice: str, options: Mapping[str, Any]) -> Any:
    """A dataset of torchvision, downloaded; raises DataError with the `advice` if that fails."""
    import torchvision

    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a command prints is its result
            return getattr(torchvision.datasets, of)(root, **options)
    except (OSError, RuntimeError, HTTPException, tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"dataset {dataset!r}: the download into {str(root)!r} failed: {reason.rstrip('.')}. {advice}"
        ) from error
