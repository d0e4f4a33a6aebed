"""JSON that may come from a stranger: what is nested too deep, holds too much or says a thing twice is refused first.

Python's own reader recurses, and takes up to thirty times the size of a text that is nothing but brackets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

MAX_DEPTH = 64  # lists and tables inside one another
_CHUNK = 2**20  # bytes looked at together
# By the byte: by how much it changes the depth, and whether a piece begins with it.
_STEP = np.array([(chr(byte) in "[{") - (chr(byte) in "]}") for byte in range(256)], np.int8)
_BEGINS = np.array([chr(byte) in ",:[{" for byte in range(256)])


def parse(data: bytes, *, most_pieces: int = 2**18) -> Any:
    """The value of a JSON text in UTF-8.

    Args:
        data: the text.
        most_pieces: how many commas, colons and opening brackets it may hold, which bounds the memory that it takes.

    Raises:
        ValueError: it is no JSON, is nested more than `MAX_DEPTH` deep, holds too much, or a table holds a key twice.
    """
    depth, pieces = _extent(data)
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested {depth:,} deep; at most {MAX_DEPTH} levels are read")
    if pieces > most_pieces:
        raise ValueError(f"it holds {pieces:,} values; at most {most_pieces:,} are read")
    return json.loads(data.decode("utf-8"), object_pairs_hook=_once)


def _extent(data: bytes) -> tuple[int, int]:
    """How deep a text is nested, and how many pieces it has; of what is no JSON, up to its first mistake."""
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")  # now each quote begins or ends a text
    quotes = depth = deepest = pieces = 0
    for first in range(0, len(plain), _CHUNK):
        codes = np.frombuffer(plain, np.uint8, count=min(_CHUNK, len(plain) - first), offset=first)
        counts = quotes + np.cumsum(codes == ord('"'))
        marks = codes[counts % 2 == 0]  # those outside of texts
        depths = depth + np.cumsum(_STEP[marks], dtype=np.int64)
        quotes = int(counts[-1])
        if len(depths):
            depth, deepest = int(depths[-1]), max(deepest, int(depths.max()))
        pieces += int(_BEGINS[marks].sum())
    return deepest, pieces


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = iter([key for key, _ in pairs])
        twice = next(key for key in keys if found.pop(key, found) is found)
        raise ValueError(f"the key {twice!r:.60} is there twice")
    return found
