"""The header of an image file: how large the image is and how it is to be turned, without decoding it."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import TypeCheckError
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from sslkit import bounded
from sslkit.bounded import UnfitFile
from sslkit.errors import DataError

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # Pillow's names; MPO, JPEG of two lenses, comes with JPEG
MAX_PIXELS = 89_478_485  # of one image; where Pillow begins to warn
MOST_BYTES = 2**30  # of a file; so many pixels, not compressed, with 16 bits and alpha, have 7e8
SIDEWAYS = (5, 6, 7, 8)  # the values of EXIF's orientation that swap height and width


class Header(NamedTuple):
    """Height and width as an image is shown, and the orientation (1 to 8, as in EXIF) that turns the stored pixels so."""

    height: int
    width: int
    orientation: int


def read_size(path: Path) -> tuple[int, int]:
    """`(height, width)` of an image as `read_pixels` gives it, from its header alone.

    Raises:
        DataError: the file can't be read, is no image, or has more than `MAX_PIXELS` pixels.
    """
    with complaints(path), open_file(path) as stream, opened(stream, path) as image:
        header = header_of(image)
        return header.height, header.width


@contextlib.contextmanager
def complaints(path: Path) -> Iterator[None]:
    """Turn what Pillow and OpenCV raise on damaged bytes, which is almost anything, into one sentence about the file."""
    name = repr(str(path))
    try:
        yield
    except (DataError, AssertionError, TypeCheckError):  # the last two: a mistake of ours, not the file's
        raise
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name}: is no image of a known format, or cut off at once; it begins with {_beginning(path)}."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: has too many pixels for one image; the limit is {MAX_PIXELS:,}. Make it smaller.") from error
    except OSError as error:
        reason = f"can't be decoded: {error}" if error.errno is None else f"can't be read: {error.strerror}"
        raise DataError(f"{name}: {reason}.") from error
    except Exception as error:
        raise DataError(f"{name}: can't be decoded: {str(error) or type(error).__name__}.") from error


def damaged(error: DataError) -> bool:
    """Whether the file itself is at fault, and not the system, which did not open it and perhaps will next time."""
    return isinstance(error.__cause__, UnfitFile) or getattr(error.__cause__, "errno", None) is None


def _beginning(path: Path) -> str:
    with open_file(path) as stream:
        return repr(stream.read(16)) if path.stat().st_size else "nothing, for it has 0 bytes"


@contextlib.contextmanager
def open_file(path: Path) -> Iterator[io.BufferedReader]:
    """An image file for reading; what is no file, or a gigabyte, raises UnfitFile; a pipe is not waited for."""
    with bounded.opened(path, most=MOST_BYTES, what="an image") as (stream, _):
        yield stream


def opened(stream: io.BytesIO | io.BufferedReader, path: Path) -> Image.Image:
    """An image of which only the header has been read; raises DataError if it has more than `MAX_PIXELS` pixels."""
    image = Image.open(stream, formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.height:,} x {image.width:,}"
        raise DataError(
            f"{str(path)!r}: has too many pixels for one image, {size}; the limit is {MAX_PIXELS:,}. Make it smaller."
        )
    return image


def header_of(image: Image.Image) -> Header:
    """The header of an image that is opened and not yet decoded."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        width, height = image.tag_v2[TiffImagePlugin.IMAGEWIDTH], image.tag_v2[TiffImagePlugin.IMAGELENGTH]
        sideways = image.tag_v2.get(ExifTags.Base.Orientation, 1) in SIDEWAYS
        orientation = 1  # Pillow turns TIFF itself when it decodes
    else:
        width, height = image.size
        orientation = _orientation(image)
        sideways = orientation in SIDEWAYS
    return Header(width, height, orientation) if sideways else Header(height, width, orientation)


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:  # it may follow the pixels; Pillow would decode them to find it
        return 1
    try:
        orientation: Any = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, KeyError, OSError, struct.error):  # a damaged block does not say how to turn the image
        return 1
    return int(orientation) if orientation in range(1, 9) else 1
