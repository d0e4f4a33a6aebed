"""Check: all of a recipe's data, section by section, gathering every problem before it complains."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from sslkit import signatures
from sslkit.augmentations import is_crop, is_last
from sslkit.errors import Problem, RecipeError, UserError, did_you_mean, listed
from sslkit.places import Places, dotted
from sslkit.problems import problems_of
from sslkit.registry import registry_of
from sslkit.sections import KIND_OF_LIST, KIND_OF_SECTION, SECTIONS, Part, Train
from sslkit.toml import KeyPath

_SHOWN = 20  # unknown sections; more is no recipe
_MOST_VIEWS = 1000  # of an image; what is far above a method's needs is a slip, and would fill the memory


class Check:
    """One pass over a recipe's data that gathers every problem before it raises."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.problems: list[Problem] = []

    def sections(self, data: dict[str, Any]) -> dict[str, Any]:
        """The checked parts of a recipe under the names of its fields; RecipeError with every problem."""
        unknown = [key for key in data if key not in SECTIONS and key != "resolved"]
        for key in unknown[:_SHOWN]:
            near = did_you_mean(key, SECTIONS)
            self._problem((key,), f"{key:.100}: there is no such section.{near} Known: {listed(SECTIONS)}.")
        if len(unknown) > _SHOWN:
            self._problem((), f"there are {len(unknown) - _SHOWN:,} more sections that there are none of.")
        data = {"method": {"name": "siamese"}, **data}
        parts = {key: self._section(data, key) for key in KIND_OF_SECTION if key != "loss"}
        parts["loss"] = self._loss(data, parts["method"])
        train = self._train(data)
        views = self._views(data)
        evaluation = (
            self._many(data, "evaluation_augmentations")
            if "evaluation_augmentations" in data
            else self._default_evaluation(views)
        )
        self._in_place(evaluation, ("evaluation_augmentations",))
        lists = {key: self._many(data, key) for key in ("evaluate", "track")}
        if self.problems:
            raise RecipeError(self.problems)
        return {**parts, **lists, "train": train, "views": views, "evaluation_augmentations": evaluation}

    def _problem(self, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self.places.of(path), message))

    def _section(self, data: dict[str, Any], key: str) -> Part | None:
        if key in data:
            return self._part(data[key], (key,), KIND_OF_SECTION[key])
        self._problem((), f'{key}: is missing. It names a component, for instance {key} = {{ name = "..." }}.')
        return None

    def _loss(self, data: dict[str, Any], method: Part | None) -> Part | None:
        """The loss, where the method takes one; some methods are a loss themselves."""
        if method is None or _takes_loss(method.name):
            return self._section(data, "loss")
        if "loss" in data:
            self._problem(("loss",), f"loss: the method {method.name!r} takes none, for it has its own; leave it out.")
        return None

    def _many(self, data: dict[str, Any], key: str, path: KeyPath = ()) -> tuple[Part, ...]:
        found = data.get(key, [])
        if not isinstance(found, list):
            self._problem((*path, key), f"{dotted((*path, key))}: must be a list of tables, each with a name.")
            return ()
        parts = [self._part(section, (*path, key, i), KIND_OF_LIST[key]) for i, section in enumerate(found)]
        return tuple(part for part in parts if part is not None)

    def _part(self, section: Any, path: KeyPath, kind: str) -> Part | None:
        """One component's section, checked against the one model that its name selects."""
        place = dotted(path)
        registry = registry_of(kind)
        if not isinstance(section, dict) or not isinstance(section.get("name"), str):
            self._problem(path, f"{place}: must be a table with a name, one of: {listed(registry.names())}.")
            return None
        name = section["name"]
        given = {key: value for key, value in section.items() if key != "name"}
        try:
            parameters, options = registry.filled(name, given)
        except UserError as error:
            self._problem((*path, "name"), f"{place}.name: {error}")
        except ValidationError as error:
            self._invalid(error, given, path, known=list(registry.model(name).model_fields), owner=repr(name))
            lists = {
                key: one if isinstance(one := given.get(key), list) else [] for key in signatures.nested(registry.load(name))
            }
            self._nested(registry.load(name), lists, path)  # what is wrong inside shows at once, too
        else:
            parameters |= self._nested(registry.load(name), parameters, path)
            return Part(kind, name, parameters, options, path=path, places=self.places)
        return None

    def _nested(self, component: type, parameters: Mapping[str, Any], path: KeyPath) -> dict[str, list[dict[str, Any]]]:
        """The sections inside of a section, checked like all others and with their defaults."""
        filled = {}
        for key, kind in signatures.nested(component).items():
            inside = [self._part(section, (*path, key, i), kind) for i, section in enumerate(parameters[key])]
            filled[key] = [part.to_dict() for part in inside if part is not None]
        return filled

    def _invalid(
        self, error: ValidationError, given: dict[str, Any], path: KeyPath, *, known: Sequence[str], owner: str
    ) -> None:
        for where, message in problems_of(error, given, known=known, owner=owner):
            self._problem((*path, *where), f"{dotted((*path, *where))}: {message}")

    def _train(self, data: dict[str, Any]) -> Train | None:
        given = data.get("train")
        if not isinstance(given, dict):
            self._problem(("train",), "train: is missing. It needs epochs, batch_size and base_lr.")
            return None
        try:
            train = Train.model_validate_json(json.dumps(given, default=str))
        except ValidationError as error:
            self._invalid(error, given, ("train",), known=list(Train.model_fields), owner="[train]")
            return None
        if train.warmup_epochs >= train.epochs:
            self._problem(
                ("train", "warmup_epochs"),
                f"train.warmup_epochs: must be less than the {train.epochs} epochs, is {train.warmup_epochs:g}.",
            )
        return train

    def _views(self, data: dict[str, Any]) -> tuple[tuple[Part, ...], ...]:
        if ("views" in data) == ("augmentations" in data):
            self._problem(("views",), "augmentations: give one list that all views share, or [[views]] with a list each.")
            return ()
        if "views" in data and "num_views" in data:
            self._problem(("num_views",), "num_views: belongs to a list that all views share; in [[views]] it is count = 2.")
        if "augmentations" in data:
            number = self._count(data.get("num_views", 2), ("num_views",))
            view = self._many(data, "augmentations")
            self._in_place(view, ("augmentations",))
            return (view,) * number
        return self._separate_views(data["views"])

    def _separate_views(self, tables: Any) -> tuple[tuple[Part, ...], ...]:
        if not isinstance(tables, list):
            self._problem(("views",), "views: must be a list of tables: [[views]], each with augmentations = [...].")
            return ()
        found: list[tuple[Part, ...]] = []
        for i, table in enumerate(tables):
            if not isinstance(table, dict):
                self._problem(("views", i), f"views.{i}: must be a table with augmentations = [...].")
                continue
            self._keys_of_view(table, i)
            view = self._many(table, "augmentations", ("views", i))
            self._in_place(view, ("views", i, "augmentations"))
            found += [view] * self._count(table.get("count", 1), ("views", i, "count"))
        if not tables:
            self._problem(("views",), "views: must hold at least one view.")
        return tuple(found)

    def _count(self, number: Any, path: tuple[str | int, ...]) -> int:
        """How many views; none where that is wrong."""
        if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= _MOST_VIEWS:
            return number
        self._problem(path, f"{'.'.join(map(str, path))}: must be a whole number from 1 to {_MOST_VIEWS}, is {number!r}.")
        return 0

    def _keys_of_view(self, table: Mapping[str, Any], i: int) -> None:
        """A key that is none of a view's is named; what is missing may be what it was meant to be."""
        known = ("augmentations", "count")
        unknown = [key for key in table if key not in known]
        for key in unknown:
            near = did_you_mean(key, known) or f" It has: {listed(known)}."
            self._problem(("views", i, key), f"views.{i}.{key}: [[views]] has no such key.{near}")
        if "augmentations" not in table and not unknown:
            self._problem(("views", i), f"views.{i}.augmentations: is missing; a view is a list that begins with a crop.")

    def _in_place(self, view: tuple[Part, ...], path: KeyPath) -> None:
        if self.problems:  # a part that is missing for another reason is not reported twice
            return
        place = dotted(path)
        crops = [_says(is_crop, part.name) for part in view]
        inside = [name for part in view for kind, name in named_inside(part.kind, part.to_dict()) if kind == part.kind]
        if not crops or not crops[0] or any(crops[1:]):
            self._problem(path, f"{place}: must begin with a crop, for instance random_resized_crop, and hold no other one.")
        elif view[0].options["p"] != 1:
            self._problem((*path, 0, "p"), f"{place}.0.p: a crop is made of every image.")
        for name in inside:
            if _says(is_crop, name):
                self._problem(
                    path, f"{place}: {name!r} is a crop: it stands at the beginning of a list, not inside of another."
                )
        for name in (*(part.name for part in view[:-1]), *inside):
            if _says(is_last, name):
                self._problem(
                    path, f"{place}: {name!r} leaves [0, 1], so it must be the last of the list and inside of no other."
                )

    def _default_evaluation(self, views: tuple[tuple[Part, ...], ...]) -> tuple[Part, ...]:
        """The centre crop of arXiv:2002.05709, B.6; small images are taken whole, as the authors' code does.

        What leaves [0, 1] at the end of the first view is the network's input form, and stays.
        """
        size = views[0][0].parameters.get("size") if views and views[0] else None
        if not isinstance(size, int):
            if not self.problems:
                self._problem((), "evaluation_augmentations: is missing, and the first crop has no size to take it from.")
            return ()
        section = {"name": "center_crop", "size": size, "fraction": 0.875 if size > 32 else 1.0}
        part = self._part(section, ("evaluation_augmentations", 0), "augmentations")
        ends = tuple(one for one in views[0][-1:] if _says(is_last, one.name))
        return () if part is None else (part, *ends)


def _takes_loss(method: str) -> bool:
    init = signatures.constructor(registry_of("methods").load(method))
    return init is not None and "loss" in signatures.declared(init, {"loss": None})


def _says(question: Callable[[type], bool], name: str) -> bool:
    return question(registry_of("augmentations").load(name))


def named_inside(kind: str, section: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, name) of all components that a checked section holds inside of it, at any depth."""
    for key, inner in signatures.nested(registry_of(kind).load(section["name"])).items():
        for one in section.get(key, []):
            yield inner, one["name"]
            yield from named_inside(inner, one)
