"""Problems: pydantic's findings as sentences of ours, each with the place it speaks of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sslkit.errors import did_you_mean, listed
from sslkit.toml import KeyPath

_KINDS = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "path_type": "a path",
    "path_exact_type": "a path",
    "finite_number": "a finite number",
    "dict_type": "a table",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_LENGTHS = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}


def problems_of(
    error: ValidationError, given: Mapping[str, Any], *, known: Sequence[str], owner: str
) -> Iterator[tuple[KeyPath, str]]:
    """(path inside the section, sentence) for each thing that is wrong; a union's findings are joined by `or`."""
    gathered: dict[KeyPath, list[str]] = {}
    for finding in error.errors(include_url=False):
        path = _existing(finding["loc"], given)
        if _is_long_enough(finding, _at(given, path)):
            continue
        sentence = _sentence(finding, known=known, owner=owner)
        if sentence not in gathered.setdefault(path, []):
            gathered[path].append(sentence)
    for path, sentences in gathered.items():
        value = _at(given, path)
        shown = "" if value is _ABSENT or not sentences[0].startswith("must") else f", is {_show(value)}"
        suggestion = "".join(sentence.partition(" Did you")[1] + sentence.partition(" Did you")[2] for sentence in sentences)
        joined = " or ".join(sentence.partition(" Did you")[0].removesuffix(".") for sentence in sentences)
        yield path, f"{joined.replace(' or must be ', ' or ')}{shown}.{suggestion}"


def _is_long_enough(finding: Any, value: Any) -> bool:
    """A list that pydantic finds too short only because it does not count items that are wrong, which it reports as well."""
    return finding["type"] == "too_short" and isinstance(value, list) and len(value) >= finding["ctx"]["min_length"]


_ABSENT = object()


def _at(given: Any, path: KeyPath) -> Any:
    for key in path:
        try:
            given = given[key]
        except (KeyError, IndexError, TypeError):
            return _ABSENT
    return given


def _existing(location: Sequence[str | int], given: Mapping[str, Any]) -> KeyPath:
    """The part of pydantic's location that stands in the recipe; the rest names branches of a union."""
    path: KeyPath = ()
    for key in location or ("?",):
        if path and _at(given, (*path, key)) is _ABSENT:
            break
        path = (*path, key)
    return path


def _show(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _sentence(finding: Any, *, known: Sequence[str], owner: str) -> str:
    kind, context, key = finding["type"], finding.get("ctx", {}), (finding["loc"] or ("?",))[-1]
    sentence = f"must be otherwise: {finding['msg'].removesuffix('.')}"
    if kind == "extra_forbidden":
        near = did_you_mean(str(key), known)
        sentence = f"{owner} has no such parameter.{near or f' It has: {listed(known)}.'}"
    elif kind == "missing":
        sentence = f"must hold {key + 1} values" if isinstance(key, int) else f"is missing; {owner} can't do without it."
    elif kind in _KINDS:
        sentence = f"must be {_KINDS[kind]}"
    elif kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        sentence = f"must be {words} {context[bound]:g}"
    elif kind in _LENGTHS:
        words, bound = _LENGTHS[kind]
        sentence = f"must hold {words} {context[bound]} values"
    elif kind == "literal_error":
        choices = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        near = did_you_mean(str(finding["input"]), choices)
        sentence = f"must be {context['expected']}{'.' + near if near else ''}"
    elif kind == "value_error":
        sentence = str(context["error"])
    return sentence
