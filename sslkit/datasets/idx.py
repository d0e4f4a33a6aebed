"""idx: the file format of MNIST and its relatives; found in a folder, or fetched into it."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from sslkit.datasets.torchvision_files import fetched
from sslkit.errors import DataError

STEMS = {"train": "train", "test": "t10k"}
SIDE = 28
NUM_CLASSES = 10


def load_idx(
    split: str, root: Path, *, dataset: str, folder: str, download: bool
) -> tuple[UInt8[np.ndarray, "n 28 28 1"], Int64[np.ndarray, " n"]]:
    """Images and labels of a split from `root` itself or from torchvision's place, `root/<folder>/raw`.

    Args:
        split: `train` or `test`.
        root: where to look, and where to put what is downloaded.
        dataset: the name of the dataset in a recipe, for messages.
        folder: the dataset's class in torchvision, which is also the name of torchvision's folder.
        download: whether to fetch the files if they are in neither place.

    Raises:
        DataError: files are missing, damaged, or don't belong together.
    """
    names = (f"{STEMS[split]}-images-idx3-ubyte", f"{STEMS[split]}-labels-idx1-ubyte")
    files = _find(root, names, folder=folder)
    if files is None:
        advice = (
            f"Place the four files {names[0]}.gz, {names[1]}.gz and so on, packed or not, in {str(root)!r}, "
            f"or set data.root to the folder that holds them."
        )
        if not download:
            raise DataError(f"dataset {dataset!r}: no idx files in {str(root)!r}, and data.download is false. {advice}")
        fetched(folder, root, dataset=dataset, advice=advice, options={"train": split == "train", "download": True})
        files = _find(root, names, folder=folder)
        assert files is not None, "torchvision has put its files somewhere else"
    images, labels = read_idx(files[0]), read_idx(files[1])
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or len(images) == 0:
        raise DataError(f"{str(files[0])!r}: should hold images of {SIDE} x {SIDE}, but has the shape {images.shape}.")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{str(files[1])!r}: should hold {len(images)} labels, one an image, but has the shape {labels.shape}.")
    if labels.max() >= NUM_CLASSES:
        raise DataError(f"{str(files[1])!r}: labels should lie in 0..{NUM_CLASSES - 1}, but one is {labels.max()}.")
    return images[..., None], labels.astype(np.int64)


def _find(root: Path, names: tuple[str, str], *, folder: str) -> tuple[Path, Path] | None:
    for place in (root, root / folder / "raw"):
        found = [path for name in names for path in (place / name, place / f"{name}.gz") if path.is_file()]
        images = [path for path in found if path.name.startswith(names[0])]
        labels = [path for path in found if path.name.startswith(names[1])]
        if images and labels:
            return images[0], labels[0]
    return None


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The uint8 array in an idx file, gzip or not.

    The file begins with two zero bytes, the type (8: uint8), the number of axes, and each axis's length as a big-endian
    32-bit integer; the values follow, the last axis fastest.

    Raises:
        DataError: the file can't be read, is no idx file, or is too short or too long for its header.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{str(path)!r}: can't be read: {error}.") from error
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise DataError(f"{str(path)!r}: is not an idx file of bytes: it begins with {data[:4].hex(' ')!r}, not '00 00 08'.")
    start = 4 + 4 * data[3]
    shape = tuple(int(length) for length in np.frombuffer(data[4:start], dtype=">u4")) if len(data) >= start else None
    if shape is None or len(data) != start + math.prod(shape):
        wanted = "a longer header" if shape is None else f"{start + math.prod(shape)} bytes for the shape {shape}"
        raise DataError(f"{str(path)!r}: should have {wanted}, but has {len(data)} bytes; is the file complete?")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)
