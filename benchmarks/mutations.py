"""Mutations: data and bytes changed at random, by a generator that is handed in, so that each case can be made again."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

NUMBERS = (0, 1, -1, 2, 3, 255, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**40, 0.0, -0.0, 0.5, 1e-320, 1e308, 1.5)
WORDS = (
    "", " ", "a", "\x1b[2J", "\u202e", "\ud7ff", "None", "nan", "os:system", "../../etc/passwd", "$HOME", "~", "p", "name",
    "x" * 500, "__init__", "[/bold]", "resnet", "h", "1", "\x00",
)  # fmt: skip


def changed(value: Any, rng: random.Random, names: Sequence[str]) -> Any:
    """A copy of tables and lists with one to four changes somewhere in it."""
    holder = [copy.deepcopy(value)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        where, key = rng.choice([*_places(holder)])
        rng.choice(_CHANGES)(where, key, rng, names)
    return holder[0]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def strange(rng: random.Random, names: Sequence[str], depth: int = 0) -> Any:
    """Any value that TOML and JSON can hold."""
    kind = rng.randrange(7 if depth < 3 else 5)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return rng.choice((True, False))
    if kind in (2, 3):
        return rng.choice(names)
    if kind == 4:
        return rng.choice(WORDS)
    many = range(rng.choice((0, 1, 2, 5)))
    if kind == 5:
        return [strange(rng, names, depth + 1) for _ in many]
    return {rng.choice((*WORDS, *names)): strange(rng, names, depth + 1) for _ in many}


def _replace(where: Any, key: Any, rng: random.Random, names: Sequence[str]) -> None:
    where[key] = strange(rng, names)


def _name(where: Any, key: Any, rng: random.Random, names: Sequence[str]) -> None:
    where[key] = rng.choice(names) if isinstance(where[key], str) else rng.choice(NUMBERS)


def _rename(where: Any, key: Any, rng: random.Random, names: Sequence[str]) -> None:
    if isinstance(where, dict):
        where[rng.choice((*names, *WORDS, f"{key}x", str(key)[:-1]))] = where.pop(key)


def _remove(where: Any, key: Any, *_: Any) -> None:
    if len(where) > 1:
        del where[key]


def _repeat(where: Any, key: Any, rng: random.Random, names: Sequence[str]) -> None:
    if isinstance(where, list):
        where += [copy.deepcopy(where[key])] * rng.choice((1, 3))
    else:
        where[rng.choice(names)] = copy.deepcopy(where[key])


def _wrap(where: Any, key: Any, rng: random.Random, names: Sequence[str]) -> None:
    for _ in range(rng.choice((1, 2, 40))):
        where[key] = [where[key]] if rng.random() < 0.5 else {rng.choice(names): where[key]}


_CHANGES: Sequence[Callable[[Any, Any, random.Random, Sequence[str]], None]] = (
    _replace, _replace, _name, _name, _rename, _remove, _repeat, _wrap,
)  # fmt: skip


def mangled(data: bytes, rng: random.Random, pieces: Sequence[bytes], *, until: int | None = None) -> bytes:
    """Bytes with one to eight changes, in the first `until`: flipped bits, foreign pieces, what is cut out or doubled."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(max(1, min(until or len(changed), len(changed))))
        length = rng.choice((1, 1, 2, 4, 16, 100))
        kind = rng.randrange(6)
        if kind == 0 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = changed[at : at + length] * rng.choice((1, 2, 50))
        elif kind == 4:
            changed[at:at] = rng.choice(pieces)
        else:
            del changed[rng.randrange(len(changed) + 1) :]
    return bytes(changed)
