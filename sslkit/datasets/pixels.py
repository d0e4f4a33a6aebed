"""The pixels of an image file, as uint8.

JPEG is decoded by OpenCV, up to three times as fast as by Pillow and to the same pixels. Pillow decodes everything else: it
knows more kinds of pixels.
"""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sslkit.datasets.headers import complaints, header_of, open_file, opened

Pixels = UInt8[np.ndarray, "h w c"]

END_OF_IMAGE = b"\xff\xd9"
GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
COLOUR = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_pixels(path: Path, *, channels: int, reduction: int = 1) -> Pixels:
    """One image as uint8 `(h, w, channels)`, turned as its EXIF says.

    Three channels are RGB, one is the luma. 16-bit grey is divided by 257, of 16-bit colour the high byte is kept; palettes are
    looked up; CMYK is converted without a colour profile; alpha is dropped: the stored colours stay, and nothing is laid
    under them. Of several frames or pages the first is taken. 32-bit pixels are refused, as their range is unknown.

    Args:
        path: the file.
        channels: 3 or 1.
        reduction: 1, 2, 4 or 8: JPEG comes at this fraction of its height and width, rounded up, the rest at full size.

    Raises:
        DataError: the file can't be read, is no image, is cut off, or has more than `headers.MAX_PIXELS` pixels.
    """
    with complaints(path):
        with open_file(path) as file:
            data = file.read()
        with io.BytesIO(data) as stream, opened(stream, path) as image:
            header = header_of(image)
            if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
                _check_end(data, stream.tell())
                pixels = _decode_jpeg(data, channels=channels, reduction=reduction)
            else:
                reduction = 1
                pixels = _decode_other(image, channels=channels)
        pixels = _turned(pixels, header.orientation)
        expected = (-(-header.height // reduction), -(-header.width // reduction))
        if pixels.shape[:2] != expected:
            raise ValueError(f"its header promises {expected} pixels, but it holds {pixels.shape[:2]}")
        return pixels


def _check_end(data: bytes, start: int) -> None:
    """Find the end marker behind the header: some versions of OpenCV fill up with grey what a shortened file lacks.

    The search begins behind the header, as that may hold a small JPEG with an end marker of its own.
    """
    if data.rfind(END_OF_IMAGE, start) < 0:  # from the end, where it usually is
        raise ValueError("the file is cut off")


def _decode_jpeg(data: bytes, *, channels: int, reduction: int) -> Pixels:
    flag = (GREY if channels == 1 else COLOUR)[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flag)
    if pixels is None:
        raise ValueError("the JPEG is damaged or cut off")
    if channels == 1:
        return pixels[..., None]
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def _decode_other(image: Image.Image, *, channels: int) -> Pixels:
    image.load()
    if image.mode == "F":
        raise ValueError("its pixels are 32-bit floats, whose range is unknown; save it with 8 or 16 bits")
    if image.mode.startswith("I"):  # 16-bit grey; some files come as 32-bit integers
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("its pixels are 32-bit integers, whose range is unknown; save it with 8 or 16 bits")
        grey = ((values.astype(np.int32) + 128) // 257).astype(np.uint8)
        return np.repeat(grey[..., None], channels, axis=2)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # Pillow warns if a palette with alpha goes to RGB directly
    pixels = np.array(image.convert("RGB" if channels == 3 else "L"))
    return pixels if channels == 3 else pixels[..., None]


def _turned(pixels: Pixels, orientation: int) -> UInt8[np.ndarray, "height width c"]:
    """Stored pixels as they are to be shown; the orientations are those of EXIF (CIPA DC-008, tag 274)."""
    if orientation in (2, 3):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4):
        pixels = pixels[::-1]
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
