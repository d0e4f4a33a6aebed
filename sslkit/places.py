"""Places: where each key of a recipe stands, for messages that begin with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sslkit.toml import KeyPath


class Places:
    """Where each key of a recipe stands: a line of the file, or the `--set` that gave it."""

    def __init__(self, source: str, lines: Mapping[KeyPath, int]) -> None:
        self._source = source
        self._lines = dict(lines)
        self._marks: dict[KeyPath, str] = {}

    def mark(self, path: KeyPath, place: str) -> None:
        """Say that a key, with all that is in it, came from somewhere else than the file."""
        self._lines = {key: line for key, line in self._lines.items() if key[: len(path)] != path}
        self._marks[path] = place

    def of(self, path: KeyPath) -> str:
        """The place of a key, or of the nearest thing around it that has one."""
        for length in range(len(path), 0, -1):
            prefix = path[:length]
            if prefix in self._marks:
                return self._marks[prefix]
            if prefix in self._lines:
                return f"{self._source}:{self._lines[prefix]}"
        return self._source


def dotted(path: KeyPath) -> str:
    """The way to a value as messages write it: `augmentations.0.name`."""
    return ".".join(map(str, path))


def inside(message: str, keys: Collection[str]) -> KeyPath:
    """The way to what a component complains of: `sigma: must be ...` speaks of its `sigma`; () if it names none of its keys.

    A complaint of a component inside of another one begins with the whole way, `operations.0.sigma: ...`.
    """
    head, colon, _ = message.partition(": ")
    path = tuple(int(key) if key.isdecimal() else key for key in head.split("."))
    return path if colon and path[0] in keys else ()
