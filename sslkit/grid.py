"""Grid: images in rows and columns, with headings and captions, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_GAP = 12  # pixels between images
_LINE = 17  # pixels from one line of text to the next


class Cell(NamedTuple):
    """One image of a sheet and what stands below it."""

    pixels: UInt8[np.ndarray, "h w 3"]
    caption: str = ""


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(13)


def fitted(image: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """An image in colour, its longer side `side` pixels."""
    height, width = image.shape[:2]
    shape = (max(1, round(side * width / max(height, width))), max(1, round(side * height / max(height, width))))
    whole = Image.fromarray(np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))))
    return np.asarray(whole.resize(shape, Image.Resampling.LANCZOS))


def squared(image: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "side side 3"]:
    """An image in the middle of a light square, which its longer side fills."""
    whole = np.full((side, side, 3), 238, np.uint8)
    inside = fitted(image, side)
    top, left = (side - inside.shape[0]) // 2, (side - inside.shape[1]) // 2
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return whole


def framed(image: UInt8[np.ndarray, "h w 3"], color: tuple[int, int, int], *, width: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """An image with a border of some pixels around it."""
    whole = np.empty((image.shape[0] + 2 * width, image.shape[1] + 2 * width, 3), np.uint8)
    whole[:] = color
    whole[width:-width, width:-width] = image
    return whole


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text that fit into a width: broken behind commas, else at spaces, and shortened where one word is too long."""
    lines: list[str] = []
    for part in _joined(text.split(", "), ", ", width) if text else ():
        lines += _joined(part.split(" "), " ", width)
    return [_shortened(line, width) for line in lines]


def _joined(words: Sequence[str], between: str, width: int) -> list[str]:
    """As many words on each line as fit, and at least one."""
    lines = [words[0]]
    for word in words[1:]:
        longer = f"{lines[-1]}{between}{word}"
        if _font().getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _shortened(word: str, width: int) -> str:
    if _font().getlength(word) <= width:
        return word
    while word and _font().getlength(f"{word}...") > width:
        word = word[:-1]
    return f"{word}..."


def drawn(rows: Sequence[Sequence[Cell]], headings: Sequence[str], *, note: str = "") -> Image.Image:
    """Cells in rows and columns; a column is as wide as its widest image, a row as high as its highest with its caption.

    A note stands below all of them, as wide as they are.
    """
    widths = [max(row[column].pixels.shape[1] for row in rows) for column in range(len(headings))]
    captions = [[_wrapped(cell.caption, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    highest = [max(cell.pixels.shape[0] for cell in row) for row in rows]
    heights = [
        high + _LINE * max(map(len, told)) + (4 if any(told) else 0) for high, told in zip(highest, captions, strict=True)
    ]
    heading_lines = [_wrapped(heading, width) for heading, width in zip(headings, widths, strict=True)]
    top = _LINE * max(map(len, heading_lines)) + (_GAP if any(headings) else 0)
    across = sum(widths) + _GAP * (len(widths) + 1)
    below = _wrapped(note, across - 2 * _GAP)
    bottom = _LINE * len(below) + (_GAP if below else 0)
    whole = Image.new("RGB", (across, top + sum(heights) + _GAP * (len(rows) + 1) + bottom), "white")
    pen = ImageDraw.Draw(whole)
    lefts = [_GAP + sum(widths[:column]) + _GAP * column for column in range(len(widths))]
    for left, lines in zip(lefts, heading_lines, strict=True):
        pen.text((left, _GAP), "\n".join(lines), fill="black", font=_font())
    down = top + _GAP
    for row, told, high, height in zip(rows, captions, highest, heights, strict=True):
        for cell, lines, left in zip(row, told, lefts, strict=True):
            whole.paste(Image.fromarray(np.ascontiguousarray(cell.pixels)), (left, down))
            pen.text((left, down + high + 4), "\n".join(lines), fill="dimgray", font=_font())
        down += height + _GAP
    pen.text((_GAP, down), "\n".join(below), fill="black", font=_font())
    return whole
