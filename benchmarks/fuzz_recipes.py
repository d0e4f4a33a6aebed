"""Recipes changed at random, and the reader that they are given to."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mutations

from sslkit import toml
from sslkit.recipe import Recipe
from sslkit.registry import KINDS, registry_of
from sslkit.sections import SECTIONS
from sslkit.shipped import shipped
from sslkit.toml_writer import dump

PIECES = [
    *(mark.encode() for mark in ('"""', "'''", '"', "'", "\\", "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "#", "\n", "\r")),
    *(word.encode() for word in ("nan", "inf", "-inf", "1e999", "0x", "1_000", "true", "1979-05-27T07:32:00Z", "\ufeff", "\0")),
    b"\xff", b"\xed\xa0\x80", b"9" * 99, b"[" * 40, b"a.b.c.d = 1\n", b"[[views]]\n", b"[train]\n", b"p = 1.0\n",
]  # fmt: skip


class Cases:
    """Case number i of a seed is always the same text, with the same overrides."""

    suffix = ".toml"

    def __init__(self) -> None:
        self.texts = [path.read_text(encoding="utf-8") for path in shipped().values()]
        self.data = [toml.parse(text)[0] for text in self.texts]
        components = [(kind, name) for kind in KINDS for name in registry_of(kind).names()]
        keys = {key for kind, name in components for key in registry_of(kind).model(name).model_fields}
        self.names = sorted({*(name for _, name in components), *keys, *SECTIONS, "resolved"})

    def make(self, rng: random.Random) -> bytes:
        """The bytes of a recipe."""
        if rng.random() < 0.5:
            return mutations.mangled(rng.choice(self.texts).encode(), rng, PIECES)
        return self._written(mutations.changed(rng.choice(self.data), rng, self.names), rng)

    def read(self, path: Path, rng: random.Random) -> None:
        """Check it as `sslkit check` does; what is resolved must be the same recipe."""
        overrides = [self._override(rng) for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        recipe = Recipe.load(path, overrides)
        assert Recipe.parse(recipe.to_toml()).digest() == recipe.digest(), "the resolved recipe is another one"

    def _override(self, rng: random.Random) -> str:
        key = ".".join(rng.choice((*self.names, "0", "1")) for _ in range(rng.choice((1, 2, 3, 40))))
        return f"{key}={rng.choice((*mutations.NUMBERS, *mutations.WORDS, *self.names))}"

    @staticmethod
    def _written(data: Any, rng: random.Random) -> bytes:
        if not isinstance(data, Mapping):
            data = {"a": data}
        return dump(data, sections=rng.sample(SECTIONS, 5)).encode()
