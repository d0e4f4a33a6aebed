"""Descriptions: what a component says of itself, and its parameters as a table."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from sslkit import signatures
from sslkit.registry import registry_of
from sslkit.toml_writer import inline
from sslkit.wrapped import Alternatives, Docstring


def description(kind: str, name: str) -> Iterator[Any]:
    """Title, docstring and table of a component, for a rich console."""
    registry = registry_of(kind)
    component = registry.component(name)
    loaded = registry.load(name)
    yield Text.assemble((name, "bold"), f" ({registry.one}, from {component.distribution}, {component.target})\n")
    yield Docstring(inspect.cleandoc(loaded.__doc__ or "It has no docstring."))
    yield ""
    own = [*parameter_rows(kind, name)]
    others = [row for row in option_rows(kind) if row[0] not in [mine for mine, *_ in own]]  # it may have its own default
    for title, rows in (("Parameters", own), ("Of every one of this kind", others)):
        table = Table("key", "type and bounds", "default", title=title, title_justify="left")
        for key, *words in rows:
            table.add_row(key, *map(Alternatives, words))
        if table.row_count:
            yield table


def parameter_rows(kind: str, name: str) -> Iterator[tuple[str, str, str]]:
    """(name, type with bounds, default) of each parameter, read off the signature."""
    loaded = registry_of(kind).load(name)
    for key, parameter in signatures.keyword_only(loaded).items():
        required = parameter.default is inspect.Parameter.empty
        yield key, type_in_words(parameter.annotation), "required" if required else default_in_words(parameter.default)


def option_rows(kind: str) -> Iterator[tuple[str, str, str]]:
    """(name, type with bounds, default) of the keys that the framework reserves for every component of a kind."""
    for key, (annotation, default) in registry_of(kind).options.items():
        yield key, type_in_words(annotation), default_in_words(default)


def default_in_words(default: Any) -> str:
    """A default as a recipe writes it: `[0.08, 1.0]`, `true`; a key that is none is absent."""
    return "absent" if default is None else inline(default)


def type_in_words(annotation: Any) -> str:
    """A type as a person says it: `float > 0`, `"linear" or "sqrt"`, `[float, float]`."""
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        if kinds := [mark.kind for mark in inside[1:] if isinstance(mark, signatures.Sections)]:
            return f"list of {kinds[0]}"
        bounds = " and ".join(filter(None, map(_bound, inside[1:])))
        return f"{type_in_words(inside[0])} {bounds}".strip()
    if origin is typing.Literal:
        return " or ".join(map(inline, inside))
    if origin in (typing.Union, types.UnionType):
        return " or ".join("absent" if one is type(None) else type_in_words(one) for one in inside)
    if origin is tuple:
        return f"[{', '.join('...' if one is Ellipsis else type_in_words(one) for one in inside)}]"
    return getattr(annotation, "__name__", str(annotation))


_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def _bound(metadata: Any) -> str:
    found = [f"{sign} {getattr(metadata, key):g}" for key, sign in _SIGNS.items() if getattr(metadata, key, None) is not None]
    return " and ".join(found)
