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


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text that fit into a width, broken behind commas."""
    lines = [""] if text else []
    for word in text.split(", ") if text else ():
        longer = f"{lines[-1]}, {word}" if lines[-1] else word
        if lines[-1] and _font().getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def drawn(rows: Sequence[Sequence[Cell]], headings: Sequence[str]) -> Image.Image:
    """Cells in rows and columns; a column is as wide as its widest image, a row as high as its highest with its caption."""
    widths = [max(row[column].pixels.shape[1] for row in rows) for column in range(len(headings))]
    captions = [[_wrapped(cell.caption, width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    highest = [max(cell.pixels.shape[0] for cell in row) for row in rows]
    heights = [
        high + _LINE * max(map(len, told)) + (4 if any(told) else 0) for high, told in zip(highest, captions, strict=True)
    ]
    heading_lines = [_wrapped(heading, width) for heading, width in zip(headings, widths, strict=True)]
    top = _LINE * max(map(len, heading_lines)) + (_GAP if any(headings) else 0)
    whole = Image.new("RGB", (sum(widths) + _GAP * (len(widths) + 1), top + sum(heights) + _GAP * (len(rows) + 1)), "white")
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
    return whole
