"""Data written as TOML that a person likes to read."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from sslkit.toml import HALF, MAX_BARE

WIDTH = 100  # columns of what is written


def dump(data: Mapping[str, Any], *, sections: Collection[str] = ()) -> str:
    """Write data as TOML that a person likes to read.

    A component (a table with a `name`) stands on one line if it fits, a list of components has one on each line; other tables
    become `[section]`, and lists of them `[[section]]`, after the plain values.

    Args:
        data: texts, booleans, finite numbers, paths (written as text), and lists, tuples and tables of these.
        sections: top-level keys whose tables become sections even if they fit on a line.

    Returns:
        The document, such that `parse(dump(data))[0] == data` where data holds neither tuples nor paths.
    """
    return "\n\n".join(_blocks(data, path="", header="", sections=sections)) + "\n"


def _blocks(table: Mapping[str, Any], *, path: str, header: str, sections: Collection[str] = ()) -> Iterator[str]:
    """A table's own lines below its header, then one block for each section in it."""
    apart = {key: tables for key, value in table.items() if (tables := _apart(key, value, always=key in sections))}
    own = [_line(key, value) for key, value in table.items() if key not in apart]
    if header or own:
        yield "\n".join([header, *own] if header else own)
    for key, tables in apart.items():
        inner = f"{path}.{_key(key)}" if path else _key(key)
        brackets = f"[{inner}]" if isinstance(table[key], Mapping) else f"[[{inner}]]"
        for each in tables:
            yield from _blocks(each, path=inner, header=brackets)


def _apart(key: str, value: Any, *, always: bool) -> list[Mapping[str, Any]]:
    """The tables of a value that becomes a section or a list of sections; none if it is written in lines."""
    tables = [value] if isinstance(value, Mapping) else list(value) if isinstance(value, list | tuple) else []
    if not all(isinstance(each, Mapping) for each in tables):
        return []
    widest = max((len(line) for line in _line(key, value).splitlines()), default=0)
    on_lines = all("name" in each for each in tables) and widest <= WIDTH
    return [] if on_lines and not always else tables


def _line(key: str, value: Any) -> str:
    """`key = value`, with a list that does not fit on the line one item a line."""
    line = f"{_key(key)} = {inline(value)}"
    if len(line) <= WIDTH or not isinstance(value, list | tuple):
        return line
    return "\n".join([f"{_key(key)} = [", *(f"  {inline(item)}," for item in value), "]"])


def inline(value: Any) -> str:
    """A value on one line: `[0.08, 1.0]`, `true`, `{ name = "mlp" }`."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            assert len(str(value)) <= MAX_BARE, "an integer too long to be read again"
            return str(int(value))
        case float():
            assert math.isfinite(value), f"{value} has no place in a recipe"
            return float.__repr__(value)
        case str() | PurePath():
            return _quoted(str(value))
        case list() | tuple():
            return f"[{', '.join(map(inline, value))}]"
        case Mapping():
            pairs = ", ".join(f"{_key(key)} = {inline(each)}" for key, each in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
    raise AssertionError(f"{type(value).__name__} can't be written as TOML")


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _quoted(key)


_ESCAPES = {ord(char): rf"\{letter}" for char, letter in zip('\b\t\n\f\r"\\', 'btnfr"\\', strict=True)}


def _quoted(text: str) -> str:
    assert not HALF.search(text), "half a character can't be written as UTF-8"
    escaped = text.translate(_ESCAPES)
    if not escaped.isprintable():  # what can't be seen, or moves what can, is written by its number
        escaped = "".join(
            c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 2**16 else f"\\U{ord(c):08X}" for c in escaped
        )
    return f'"{escaped}"'
