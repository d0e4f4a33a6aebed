"""Hostile images: single files, and folders of them."""

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
from cases import Case, directory, evil_pickle, leading, pipe, put, sparse
from PIL import Image

PIXELS = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)


def good(folder):
    Image.fromarray(PIXELS).save(folder / "good.png")
    return folder / "good.png"


def image(name, mode="RGB", size=(5, 6), **options):
    """An image of Pillow's in one of its modes, in a file."""

    def make(folder):
        Image.new(mode, size, *([options.pop("colour")] if "colour" in options else [])).save(folder / name, **options)
        return folder / name

    return make


def animation(folder):
    frames = [Image.new("P", (4, 4), number) for number in range(5)]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    return folder / "a.gif"


def png(*chunks, magic=b"\x89PNG\r\n\x1a\n"):
    return magic + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def header(width, height, depth=8, colour=2):
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


BOMB = png(header(10_000, 10_000, 1, 0), (b"IDAT", zlib.compress(bytes(1251 * 10_000))), (b"IEND", b""))
GIANT = png(header(2**31 - 1, 2**31 - 1), (b"IDAT", b"x"), (b"IEND", b""))
TEXT = png(
    header(5, 6),
    (b"zTXt", b"k\0\0" + zlib.compress(bytes(200_000_000))),
    (b"IDAT", zlib.compress(bytes(16 * 6))),
    (b"IEND", b""),
)
EXIF = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" * 50
TIFF = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + b"".join(
    struct.pack("<HHII", tag, 4, 1, value) for tag, value in ((256, 5), (257, 6), (273, 2**31))
) + struct.pack("<I", 8)  # its directory comes after itself  # fmt: skip


def jpeg(**options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", **options)
    return file.getvalue()


def beside(name, make):
    """A folder with one good image, and a hostile one."""

    def put_both(folder):
        place = folder / "images"
        place.mkdir()
        good(place)
        make(place)
        return place

    return put_both


def listening(name):
    def make(folder):
        before = Path.cwd()
        os.chdir(folder)  # the name of a socket must be short
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(name)
        finally:
            os.chdir(before)

    return make


CASES = {
    "good": Case(good, None),
    "1 x 1": Case(image("a.png", size=(1, 1)), None),
    "1 x 5000": Case(image("a.png", size=(5000, 1)), None),
    "L": Case(image("a.png", "L", colour=7), r"\(6, 5\) \[7, 7, 7\]"),
    "LA": Case(image("a.png", "LA", colour=(7, 0)), r"\[7, 7, 7\]"),
    "P": Case(image("a.gif", "P", colour=3), None),
    "RGBA": Case(image("a.png", "RGBA", colour=(1, 2, 3, 0)), r"\[1, 2, 3\]"),
    "CMYK": Case(image("a.jpg", "CMYK", colour=(0, 0, 0, 255)), r"\[0, 0, 0\]"),
    "I;16": Case(image("a.png", "I;16", colour=257 * 9), r"\[9, 9, 9\]"),
    "F": Case(image("a.tif", "F"), "32-bit floats, whose range is unknown"),
    "animation": Case(animation, None),
    "turned by EXIF": Case(put("a.jpg", jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")), r"\(5, 6\)"),
    "endless EXIF": Case(put("a.jpg", jpeg(exif=EXIF)), None),
    "100 megapixels in 12 KB": Case(put("a.png", BOMB), "has too many pixels for one image.* the limit is 89,478,485. Make it smaller."),
    "2^62 pixels": Case(put("a.png", GIANT), "has too many pixels for one image"),
    "200 MB of text": Case(put("a.png", TEXT), "can't be decoded"),
    "TIFF that leads to itself": Case(put("a.tif", TIFF), "can't be decoded|no image"),
    "cut off": Case(put("a.jpg", jpeg()[:-40]), "cut off|Truncated"),
    "empty": Case(put("a.jpg", b""), "it has 0 bytes"),
    "pickle": Case(put("a.jpg", evil_pickle), "is no image of a known format"),
    "PostScript": Case(put("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%touch executed) (w) file\n"), "is no image of a known format"),
    "SVG": Case(put("a.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'), "is no image of a known format"),
    "escape codes in its name": Case(put("a\x1b[2J\n.jpg", b"x"), r"a\\x1b\[2J\\n.jpg': is no image"),
    "a terabyte": Case(sparse("a.png", 2**40, BOMB[:60]), "too many pixels|and an image has at most"),
    "2 GB of bitmap": Case(sparse("a.bmp", 2**31), "it has 2,147,483,648 bytes, and an image has at most"),
    "pipe": Case(pipe("a.jpg"), "it is a pipe, not a file"),
    "device": Case(leading("a.jpg", "/dev/zero"), "it is a device, not a file"),
}  # fmt: skip

FOLDERS = {
    "pipe": Case(beside("a.jpg", pipe("a.jpg")), "is not a file but a pipe, socket or device"),
    "socket": Case(beside("a.jpg", listening("a.jpg")), "is not a file but a pipe, socket or device"),
    "device": Case(beside("a.jpg", leading("a.jpg", "/dev/zero")), "is not a file but a pipe, socket or device"),
    "folder called a.jpg": Case(beside("a.jpg", directory("a.jpg")), "put the images into folders"),
    "link to itself": Case(beside("a.jpg", leading("a.jpg", "a.jpg")), "Too many levels of symbolic links"),
    "link to the folder it lies in": Case(beside("a", leading("a", ".")), "put the images into folders|is a link to a folder"),
    "link to nothing": Case(beside("a.jpg", leading("a.jpg", "nothing")), "a broken link"),
}
