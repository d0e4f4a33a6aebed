"""What installed packages offer: their entry points in the groups `sslkit.<kind>`, read without importing anything.

Reading goes through the `entrypoints` package. Each distribution's metadata is guarded on its own: a malformed file is
reported as broken and hides nothing else.
"""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import entrypoints

from sslkit import bounded

PREFIX = "sslkit."
_MOST_BYTES = 2**20  # of entry_points.txt


class Offer(NamedTuple):
    """One name that one distribution offers: `target` is `module:Class`."""

    kind: str
    name: str
    target: str
    distribution: str


class Broken(NamedTuple):
    """A distribution whose metadata can't be read, and why."""

    distribution: str
    reason: str


class Scan(NamedTuple):
    """What one pass over `sys.path` found."""

    offers: tuple[Offer, ...]
    broken: tuple[Broken, ...]


@cache
def scan() -> Scan:
    """All offers of all installed distributions, in one pass over `sys.path`."""
    offers: list[Offer] = []
    broken: list[Broken] = []
    seen: set[str] = set()
    for file in _files():
        distribution = _distribution(file)
        name = distribution.split(" ")[0].replace("_", "-").lower()
        if name in seen:  # the first on sys.path is the one that is imported
            continue
        seen.add(name)
        try:
            offers += _offers(file, distribution)
        except (configparser.Error, entrypoints.BadEntryPoint, UnicodeDecodeError, OSError) as error:
            broken.append(Broken(distribution, " ".join(str(error).split())))
    return Scan(tuple(offers), tuple(broken))


def _files() -> Iterator[Path]:
    for folder in dict.fromkeys(sys.path):
        for pattern in ("*.dist-info/entry_points.txt", "*.egg-info/entry_points.txt"):
            yield from sorted(Path(folder or ".").glob(pattern))


def _distribution(file: Path) -> str:
    """`sslkit-sigreg 0.1.0` from `sslkit_sigreg-0.1.0.dist-info`."""
    name, _, version = file.parent.stem.partition("-")
    return f"{name.replace('_', '-')} {version}".strip()


def _offers(file: Path, distribution: str) -> list[Offer]:
    text = bounded.read(file, most=_MOST_BYTES, what="such a list").decode("utf-8")
    if PREFIX not in text:
        return []
    parser = entrypoints.CaseSensitiveConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text, source=str(file))
    offers = []
    for group in parser.sections():
        if group.startswith(PREFIX):
            for name, value in parser.items(group):
                point = entrypoints.EntryPoint.from_string(value, name)
                target = f"{point.module_name}:{point.object_name}"
                offers.append(Offer(group[len(PREFIX) :], name, target, distribution))
    return offers
