"""Recipe: one TOML file, checked whole, every problem at once; and the resolved copy of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sslkit import signatures, toml
from sslkit.errors import Problem, RecipeError, UserError, did_you_mean, listed
from sslkit.problems import Places, problems_of
from sslkit.registry import registry_of

KIND_OF_SECTION = {
    "method": "methods",
    "backbone": "backbones",
    "head": "heads",
    "loss": "losses",
    "optimizer": "optimizers",
    "data": "datasets",
}
KIND_OF_LIST = {
    "augmentations": "augmentations",
    "evaluation_augmentations": "augmentations",
    "evaluate": "evaluations",
    "track": "trackers",
}
SECTIONS = (*KIND_OF_SECTION, *KIND_OF_LIST, "num_views", "views", "train")
# Written with a header of their own, not as `key = { ... }`.
SECTIONS_APART = ("data", "train", "evaluate", "track", "views", "resolved")
# What does not move a weight: two recipes that differ only here are the same run.
FREE = ("data.workers", "train.log_every", "train.checkpoint_every_epochs", "train.keep_every_epochs")
FREE_SECTIONS = ("evaluate", "evaluation_augmentations", "track", "resolved")


class Train(BaseModel):
    """How long, how fast and how exactly: the `[train]` section."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    epochs: Annotated[int, Field(gt=0, description="passes over the images")]
    batch_size: Annotated[int, Field(gt=1, description="images a step; each gives all its views")]
    base_lr: Annotated[float, Field(gt=0, description="learning rate before scaling by the batch size")]
    lr_scaling: Annotated[
        Literal["linear", "sqrt", "none"],
        Field(
            description="peak lr = base_lr x batch_size / 256, base_lr x sqrt(batch_size), or base_lr (arXiv:2002.05709, B.1)"
        ),
    ] = "linear"
    warmup_epochs: Annotated[float, Field(ge=0, description="linear warm-up from 0 to the peak lr, then cosine to 0")] = 10.0
    precision: Annotated[Literal["fp32", "bf16"], Field(description="bf16 is autocast; losses keep to fp32")] = "fp32"
    seed: Annotated[int, Field(ge=0, description="the seed of weights, order and views")] = 0
    log_every: Annotated[int, Field(gt=0, description="steps between two lines of metrics.jsonl")] = 10
    checkpoint_every_epochs: Annotated[int, Field(gt=0, description="epochs between two writings of last.safetensors")] = 1
    keep_every_epochs: Annotated[int, Field(gt=0, description="epochs between two checkpoints that are kept")] = 100


@dataclass(frozen=True)
class Part:
    """One component as a recipe names it: `parameters` are its own, `options` those reserved for its kind."""

    kind: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The section that names this part, every default written out."""
        filled = {"name": self.name, **self.options, **self.parameters}
        return {key: _plain(value) for key, value in filled.items() if value is not None}


@dataclass(frozen=True)
class Recipe:
    """A checked recipe. `views` holds one list of operations a view."""

    name: str
    method: Part
    backbone: Part
    head: Part
    loss: Part
    optimizer: Part
    data: Part
    train: Train
    views: tuple[tuple[Part, ...], ...]
    evaluation_augmentations: tuple[Part, ...]
    evaluate: tuple[Part, ...] = ()
    track: tuple[Part, ...] = ()

    @classmethod
    def load(cls, path: Path, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe file, with `KEY=VALUE` overrides; raises RecipeError with every problem."""
        return cls.parse(_read(path), source=str(path), name=path.stem, overrides=overrides)

    @classmethod
    def parse(cls, text: str, *, source: str = "recipe", name: str = "recipe", overrides: Sequence[str] = ()) -> Recipe:
        """A recipe from TOML text; `source` is what messages call it."""
        data, lines = toml.parse(text, source=source)
        places = Places(source, lines)
        _override(data, overrides, places)
        return _Check(places).recipe(data, name=name)

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
        sections = {key: getattr(self, key).to_dict() for key in KIND_OF_SECTION}
        filled = {**sections, **views, **lists, "train": self.train.model_dump()}
        return {key: value for key, value in filled.items() if value not in ([], {})}

    def digest(self) -> str:
        """Twelve hexadecimal digits that two recipes share if they are the same run."""
        canonical = json.dumps(_fixed(self.to_dict()), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What moves weights and differs from another resolved recipe, as `key: theirs -> ours`."""
        theirs, ours = _fixed(other), _fixed(self.to_dict())
        keys = sorted({*theirs, *ours})
        return [f"{key}: {theirs.get(key)!r} -> {ours.get(key)!r}" for key in keys if theirs.get(key) != ours.get(key)]


def _fixed(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys -> values of all that moves weights."""
    sections = {key: value for key, value in resolved.items() if key not in FREE_SECTIONS}
    return {key: value for key, value in _leaves(sections) if key not in FREE}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping | list):
        for key, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        near = did_you_mean(path.name, [file.name for file in path.parent.glob("*.toml")])
        raise UserError(f"{path}: there is no such recipe.{near} `sslkit recipes` lists those that sslkit brings.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}).") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}.") from None


def _override(data: dict[str, Any], overrides: Sequence[str], places: Places) -> None:
    """Put `KEY=VALUE` into the data; a value that is not TOML is a string."""
    for text in overrides:
        dotted, equals, value = text.partition("=")
        if not equals or not dotted.strip():
            raise UserError(f"--set {text}: must be KEY=VALUE, for instance --set train.epochs=10.")
        path = [int(key) if key.isdigit() else key for key in dotted.strip().split(".")]
        target: Any = data
        for key in path[:-1]:
            if isinstance(target, dict):
                target = target.setdefault(key, {})
            elif isinstance(target, list) and isinstance(key, int) and key < len(target):
                target = target[key]
            else:
                raise UserError(f"--set {text}: the recipe has no {dotted!r}.")
        try:
            target[path[-1]] = _value(value)
        except (TypeError, IndexError):
            raise UserError(f"--set {text}: the recipe has no {dotted!r}.") from None
        places.mark(tuple(path), f"--set {dotted}")


def _value(text: str) -> Any:
    """What stands after the `=` of an override: TOML, or else a string as it stands."""
    try:
        data, _ = toml.parse(f"value = {text}")
    except RecipeError:
        return text
    return data["value"] if data.keys() == {"value"} else text


class _Check:
    """One pass over a recipe's data that gathers every problem before it raises."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = []

    def recipe(self, data: dict[str, Any], *, name: str) -> Recipe:
        for key in data:
            if key not in SECTIONS and key != "resolved":
                self.problem(
                    (key,), f"{key}: there is no such section.{did_you_mean(key, SECTIONS)} Known: {listed(SECTIONS)}."
                )
        data = {"method": {"name": "siamese"}, **data}
        parts = {key: self.section(data, key) for key in KIND_OF_SECTION}
        train = self.train(data)
        views = self.views(data)
        evaluation = (
            self.many(data, "evaluation_augmentations")
            if "evaluation_augmentations" in data
            else self.default_evaluation(views)
        )
        self.begins_with_crop(evaluation, ("evaluation_augmentations",))
        lists = {key: self.many(data, key) for key in ("evaluate", "track")}
        if self.problems:
            raise RecipeError(self.problems)
        assert train is not None
        known: dict[str, Any] = {**parts, **lists}
        return Recipe(name=name, train=train, views=views, evaluation_augmentations=evaluation, **known)

    def problem(self, path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(self.places.of(path), message))

    def section(self, data: dict[str, Any], key: str) -> Part | None:
        if key in data:
            return self.part(data[key], (key,), KIND_OF_SECTION[key])
        self.problem((), f'{key}: is missing. It names a component, for instance {key} = {{ name = "..." }}.')
        return None

    def many(self, data: dict[str, Any], key: str, path: tuple[str | int, ...] = ()) -> tuple[Part, ...]:
        found = data.get(key, [])
        if not isinstance(found, list):
            self.problem((*path, key), f"{'.'.join(map(str, (*path, key)))}: must be a list of tables, each with a name.")
            return ()
        parts = [self.part(section, (*path, key, i), KIND_OF_LIST[key]) for i, section in enumerate(found)]
        return tuple(part for part in parts if part is not None)

    def part(self, section: Any, path: tuple[str | int, ...], kind: str) -> Part | None:
        """One component's section, checked against the one model that its name selects."""
        dotted = ".".join(map(str, path))
        registry = registry_of(kind)
        if not isinstance(section, dict) or not isinstance(section.get("name"), str):
            self.problem(path, f"{dotted}: must be a table with a name, one of: {listed(registry.names())}.")
            return None
        name = section["name"]
        given = {key: value for key, value in section.items() if key != "name"}
        try:
            parameters, options = registry.filled(name, given)
        except UserError as error:
            self.problem((*path, "name"), f"{dotted}.name: {error}")
        except ValidationError as error:
            self.invalid(error, given, path, known=list(registry.model(name).model_fields), owner=repr(name))
        else:
            return Part(kind, name, parameters, options)
        return None

    def invalid(
        self, error: ValidationError, given: dict[str, Any], path: tuple[str | int, ...], *, known: Sequence[str], owner: str
    ) -> None:
        for where, message in problems_of(error, given, known=known, owner=owner):
            self.problem((*path, *where), f"{'.'.join(map(str, (*path, *where)))}: {message}")

    def train(self, data: dict[str, Any]) -> Train | None:
        given = data.get("train")
        if not isinstance(given, dict):
            self.problem(("train",), "train: is missing. It needs epochs, batch_size and base_lr.")
            return None
        try:
            train = Train.model_validate_json(json.dumps(given, default=str))
        except ValidationError as error:
            self.invalid(error, given, ("train",), known=list(Train.model_fields), owner="[train]")
            return None
        if train.warmup_epochs >= train.epochs:
            self.problem(
                ("train", "warmup_epochs"),
                f"train.warmup_epochs: must be less than the {train.epochs} epochs, is {train.warmup_epochs:g}.",
            )
        return train

    def views(self, data: dict[str, Any]) -> tuple[tuple[Part, ...], ...]:
        if ("views" in data) == ("augmentations" in data):
            self.problem(("views",), "augmentations: give either one list that all views share, or [[views]] with a list each.")
            return ()
        if "augmentations" in data:
            number = data.get("num_views", 2)
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                self.problem(("num_views",), f"num_views: must be a positive integer, is {number!r}.")
                return ()
            view = self.many(data, "augmentations")
            self.begins_with_crop(view, ("augmentations",))
            return (view,) * number
        return self.separate_views(data["views"])

    def separate_views(self, tables: Any) -> tuple[tuple[Part, ...], ...]:
        if not isinstance(tables, list):
            self.problem(("views",), "views: must be a list of tables: [[views]], each with augmentations = [...].")
            return ()
        found: list[tuple[Part, ...]] = []
        for i, table in enumerate(tables):
            if not isinstance(table, dict) or not {"augmentations"} <= {*table} <= {"augmentations", "count"}:
                self.problem(("views", i), f"views.{i}: must hold augmentations = [...], and may hold count = 2.")
                continue
            view = self.many(table, "augmentations", ("views", i))
            self.begins_with_crop(view, ("views", i, "augmentations"))
            count = table.get("count", 1)
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                self.problem(("views", i, "count"), f"views.{i}.count: must be a positive integer, is {count!r}.")
                continue
            found += [view] * count
        return tuple(found)

    def begins_with_crop(self, view: tuple[Part, ...], path: tuple[str | int, ...]) -> None:
        if self.problems:  # a part that is missing for another reason is not reported twice
            return
        crops = [signatures.written(registry_of(part.kind).load(part.name), "boxes") is not None for part in view]
        if not crops or not crops[0] or any(crops[1:]):
            dotted = ".".join(map(str, path))
            self.problem(path, f"{dotted}: must begin with a crop, for instance random_resized_crop, and hold no other one.")

    def default_evaluation(self, views: tuple[tuple[Part, ...], ...]) -> tuple[Part, ...]:
        """The centre crop of arXiv:2002.05709, B.6; small images are taken whole, as the authors' code does."""
        size = views[0][0].parameters.get("size") if views and views[0] else None
        if not isinstance(size, int):
            if not self.problems:
                self.problem((), "evaluation_augmentations: is missing, and the first crop has no size to take it from.")
            return ()
        section = {"name": "center_crop", "size": size, "fraction": 0.875 if size > 32 else 1.0}
        part = self.part(section, ("evaluation_augmentations", 0), "augmentations")
        return () if part is None else (part,)
