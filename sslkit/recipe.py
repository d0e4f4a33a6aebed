"""Recipe: one TOML file, checked whole, every problem at once; and the resolved copy of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sslkit import bounded, toml
from sslkit.check import Check
from sslkit.errors import Problem, RecipeError, UserError, did_you_mean
from sslkit.origin import other_versions
from sslkit.overrides import override
from sslkit.places import Places
from sslkit.sections import KIND_OF_SECTION, Part, Train
from sslkit.toml_writer import dump

# Written with a header of their own, not as `key = { ... }`.
_SECTIONS_APART = ("data", "train", "evaluate", "track", "views", "resolved")
# What does not move a weight: two recipes that differ only here are the same run.
FREE = (
    "data.workers",
    "data.download",
    "data.on_unreadable",
    "train.log_every",
    "train.checkpoint_every_epochs",
    "train.keep_every_epochs",
)
FREE_SECTIONS = ("evaluate", "evaluation_augmentations", "track", "resolved")
# Where data lie says nothing of what they are: not part of the digest, and free to differ in an evaluation.
LOCATIONS = ("data.root",)


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `views` holds one list of operations a view."""

    name: str
    method: Part
    backbone: Part
    head: Part
    loss: Part | None  # of a method that has its own there is none
    optimizer: Part
    data: Part
    train: Train
    views: tuple[tuple[Part, ...], ...]
    evaluation_augmentations: tuple[Part, ...]
    evaluate: tuple[Part, ...] = ()
    track: tuple[Part, ...] = ()

    @classmethod
    def load(cls, path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe file, with `KEY=VALUE` overrides; raises RecipeError with every problem."""
        path = Path(path)
        return cls.parse(_read(path), source=str(path), name=path.stem, overrides=overrides)

    @classmethod
    def parse(cls, text: str, *, source: str = "recipe", name: str = "recipe", overrides: Sequence[str] = ()) -> Recipe:
        """A recipe from TOML text; `source` is what messages call it."""
        data, lines = toml.parse(text, source=source)
        places = Places(source, lines)
        override(data, overrides, places=places)
        try:
            return cls(name=name, **Check(places).sections(data))
        except RecipeError as error:
            # The resolved recipe of a run says which versions wrote it: what is wrong with it may be right for them.
            if all(problem.place.startswith("--set ") for problem in error.problems) or not (other := other_versions(data)):
                raise
            raise RecipeError([*error.problems, Problem(source, other)]) from error

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe: every default written out, as TOML holds it."""
        lists = {
            key: [part.to_dict() for part in getattr(self, key)] for key in ("evaluation_augmentations", "evaluate", "track")
        }
        same = all(view == self.views[0] for view in self.views)
        first = [part.to_dict() for part in self.views[0]]
        views: dict[str, Any] = (
            {"num_views": len(self.views), "augmentations": first}
            if same
            else {"views": [{"augmentations": [part.to_dict() for part in view]} for view in self.views]}
        )
        sections = {key: part.to_dict() for key in KIND_OF_SECTION if (part := getattr(self, key)) is not None}
        filled = {**sections, **views, **lists, "train": self.train.model_dump(exclude_none=True)}
        return {key: value for key, value in filled.items() if value not in ([], {})}

    def to_toml(self, **more: Any) -> str:
        """The resolved recipe as text, with more sections behind it if wanted."""
        return dump({**self.to_dict(), **more}, sections=_SECTIONS_APART)

    def digest(self) -> str:
        """Twelve hexadecimal digits that two recipes share if they are the same run."""
        counted = {key: value for key, value in fixed(self.to_dict()).items() if key not in LOCATIONS}
        canonical = json.dumps(counted, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def same_evaluations(self, other: Mapping[str, Any]) -> bool:
        """Whether another resolved recipe asks for the same final numbers."""
        ours = self.to_dict()
        return all(ours.get(key, []) == other.get(key, []) for key in ("evaluate", "evaluation_augmentations"))

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What moves weights and differs from another resolved recipe, as `key: theirs -> ours`."""
        return differing(fixed(other), fixed(self.to_dict()))


def differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What differs between two mappings of dotted keys, as `key: theirs -> ours`."""
    keys = sorted({*theirs, *ours})
    return [f"{key}: {theirs.get(key)!r} -> {ours.get(key)!r}" for key in keys if theirs.get(key) != ours.get(key)]


def fixed(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys -> values of all that moves weights in a resolved recipe."""
    sections = {key: value for key, value in resolved.items() if key not in FREE_SECTIONS}
    return {key: value for key, value in leaves(sections) if key not in FREE}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested tables and lists, as `augmentations.0.size`."""
    if isinstance(value, Mapping | list):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _read(path: Path) -> str:
    try:
        return bounded.read(path, most=toml.MOST_BYTES, what="a recipe").decode("utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.toml")])
        raise UserError(f"{path}: there is no such recipe.{near} `sslkit recipes` lists those that sslkit brings.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}.") from None
