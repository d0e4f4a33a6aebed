"""MATLAB files: lists of images that were published as `.mat`, read by scipy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslkit.errors import DataError


def check_scipy(dataset: str) -> None:
    """Raise DataError if scipy, which sslkit does not need otherwise, is not installed."""
    try:
        import scipy.io  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"dataset {dataset!r}: its lists are MATLAB files; scipy reads them and is not installed: pip install scipy."
        ) from error


def read_mat(path: Path, key: str) -> np.ndarray:
    """One variable of a MATLAB file as an array with one axis; a struct array has its fields as in numpy.

    Raises:
        DataError: the file can't be read, is no MATLAB file, or has no such variable.
    """
    import scipy.io

    name = repr(str(path))
    try:
        found = scipy.io.loadmat(path, squeeze_me=True)
    except OSError as error:
        raise DataError(f"{name}: can't be read: {error.strerror or error}.") from error
    except Exception as error:  # damaged bytes raise almost anything
        raise DataError(f"{name}: is no MATLAB file, or damaged: {str(error) or type(error).__name__}.") from error
    if key not in found:
        raise DataError(f"{name}: has no variable {key!r}.")
    return np.atleast_1d(found[key])
