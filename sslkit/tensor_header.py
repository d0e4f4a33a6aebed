"""The header of a safetensors file, read strictly before anything else of the file is.

A stranger's file may say anything about itself. So nothing is believed: the header is short and flat, says each thing once, and
its tensors cover the rest of the file without a gap. Whatever is read behind such a header takes the memory that the file has.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from sslkit import json_text

KEY = "sslkit"  # the one metadata key; with several the bytes of a file would differ from run to run
FORMAT = 1  # of what is written today; files from before it was noted are of the same
MAX_HEADER = 2**24  # bytes; a ResNet-50 and its optimizer's buffers take 60,000
MAX_PIECES = 2**19  # of the header's JSON, of which a tensor has about 14
MAX_AXES = 32
ITEM_SIZE = {
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E4M3FNUZ", "F8_E5M2", "F8_E5M2FNUZ"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 8),
}  # bytes of one number
_LARGEST = 2**63 - 1  # of a product of lengths
_ENTRY = {"dtype", "shape", "data_offsets"}

# What people take for safetensors, by how it begins, and what is to be known about it.
_PICKLE = "it is a pickle, which runs code when it is read; sslkit never unpickles"
_FOREIGN = (
    (rb"\x80[\x00-\x05]", _PICKLE),
    (rb"\(?(lp\d|dp\d|c[\w.]+\n[\w.]+\n)", _PICKLE),
    (rb"PK\x03\x04", "it is a zip archive, as torch.save writes it, with a pickle inside; sslkit never unpickles"),
    (rb"\x1f\x8b", "it is packed by gzip; unpack it"),
    (rb"\x93NUMPY", "it is an array of numpy"),
    (rb"\x89HDF", "it is HDF5"),
    (rb"version https://git-lfs", "it only points to a file in Git LFS; fetch that with git lfs pull"),
    (rb"\s*<(!doctype|html|\?xml)", "it is a web page, perhaps that of a failed download"),
)


class Entry(NamedTuple):
    """A tensor: the name of its type, its shape, and where its bytes begin and end, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(NamedTuple):
    """What a file says about itself: its tensors by name, the facts that sslkit keeps with them, and where data begin."""

    entries: dict[str, Entry]
    facts: dict[str, Any]
    data: int


def read_header(file: io.BufferedIOBase, size: int) -> Header:
    """Read the header of an open file that has `size` bytes; the file's position is behind it then.

    Raises:
        ValueError: it is not as sslkit writes them; the message goes on from `it is no whole file (`.
    """
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if start[8:] != b"{" or length > size - 8:
        raise ValueError(foreign(start + file.read(64)) or "cut off, or no safetensors")
    if length > MAX_HEADER:
        raise ValueError(f"its header has {length:,} bytes; at most {MAX_HEADER:,} are read")
    content = json_text.parse(b"{" + file.read(length - 1), most_pieces=MAX_PIECES)
    facts = _facts(content.pop("__metadata__", None))
    entries = {name: _entry(name, one) for name, one in content.items()}
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != end:
            raise ValueError("its tensors overlap, or leave a gap")
        end = entry.end
    if 8 + length + end != size:
        raise ValueError(f"it has {size - 8 - length:,} bytes of data, and its header speaks of {end:,}")
    return Header(entries, facts, 8 + length)


def foreign(beginning: bytes) -> str:
    """What a file is that is no safetensors, told by its first bytes; nothing where that can't be told."""
    return next((words for pattern, words in _FOREIGN if re.match(pattern, beginning, re.IGNORECASE)), "")


def later_format(facts: Mapping[str, Any]) -> str:
    """What is to be said of a file whose format is none that is known here, or nothing."""
    number = facts.get("format", FORMAT)
    if number == FORMAT and not isinstance(number, bool):
        return ""
    if isinstance(number, int) and number > FORMAT:
        return f"is of format {number!r:.40}; a later version of sslkit wrote it, and this one reads format {FORMAT}."
    return f"is of format {number!r:.40}, which there is not; the file was changed."


def _facts(metadata: Any) -> dict[str, Any]:
    if not isinstance(metadata, dict) or list(metadata) != [KEY] or not isinstance(metadata[KEY], str):
        raise ValueError("its metadata are not those that sslkit writes")
    facts = json_text.parse(metadata[KEY].encode())
    if not isinstance(facts, dict):
        raise ValueError("its facts are no table")
    return facts


def _entry(name: str, said: Any) -> Entry:
    """What the header says of one tensor, if that is possible at all."""
    if not isinstance(said, dict) or said.keys() != _ENTRY:
        raise ValueError(f"it says of {name!r:.60} other things than type, shape and place")
    dtype, shape, offsets = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZE:
        raise ValueError(f"{name!r:.60} is of an unknown type, {dtype!r:.40}")
    if not _counts(shape) or len(shape) > MAX_AXES or math.prod(max(1, axis) for axis in shape) > _LARGEST:
        raise ValueError(f"{name!r:.60} has an impossible shape")
    if not _counts(offsets) or len(offsets) != 2 or offsets[1] - offsets[0] != math.prod(shape) * ITEM_SIZE[dtype]:
        raise ValueError(f"the place of {name!r:.60} does not fit its shape and type")
    return Entry(dtype, tuple(shape), *offsets)


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one <= _LARGEST for one in value)
