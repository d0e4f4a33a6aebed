"""Overrides: `--set KEY=VALUE` put into a recipe's data before it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslkit import toml
from sslkit.errors import RecipeError, UserError
from sslkit.places import Places

_MOST_DIGITS = 10  # of an item's number


def override(data: dict[str, Any], overrides: Sequence[str], *, places: Places) -> None:
    """Put `KEY=VALUE` into the data; a value that is not TOML is a string, and the number after a list's last item adds one."""
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals or not dotted.strip():
            raise UserError(f"--set {text}: must be KEY=VALUE, for instance --set train.epochs=10.")
        if toml.HALF.search(text):
            raise UserError("--set: holds a character that is not UTF-8.")
        path: list[str | int] = [*dotted.strip().split(".")]
        target: Any = data
        for depth, word in enumerate(path[:-1], start=1):
            key = path[depth - 1] = _key(word, target)
            if isinstance(target, dict) and key not in target:
                places.mark(tuple(path[:depth]), f"--set {dotted}")
            if isinstance(target, dict):
                target = target.setdefault(key, {})
            elif isinstance(target, list) and isinstance(key, int) and key < len(target):
                target = target[key]
            else:
                raise UserError(f"--set {text}: the recipe has no {dotted!r}.")
        path[-1] = _key(path[-1], target)
        try:
            if isinstance(target, list) and path[-1] == len(target):
                target.append(None)  # the number after the last one's adds an item
            target[path[-1]] = _value(value)
        except (TypeError, IndexError):
            raise UserError(f"--set {text}: the recipe has no {dotted!r}.") from None
        places.mark(tuple(path), f"--set {dotted}")


def _key(word: str | int, target: Any) -> str | int:
    """The number of an item in a list, or the key of a table, where `0` is a word like others."""
    text = str(word)
    return int(text) if isinstance(target, list) and text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS else text


def _value(text: str) -> Any:
    """What stands after the `=` of an override: TOML, or else a string as it stands."""
    try:
        data, _ = toml.parse(f"value = {text}")
    except RecipeError:
        return text
    return data["value"] if data.keys() == {"value"} else text
