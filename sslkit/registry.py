"""Registry: names -> components.

A name stays a string until it is used: built-ins and entry points are the same lazy record, so listing imports nothing and a
broken plugin breaks its own name and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from sslkit import plugins, signatures
from sslkit.errors import ContractError, PluginError, UnknownName, UserError, did_you_mean, listed
from sslkit.known_plugins import distribution_of
from sslkit.places import inside

if TYPE_CHECKING:
    from pydantic import BaseModel

KINDS = (
    "augmentations",
    "backbones",
    "datasets",
    "evaluations",
    "heads",
    "losses",
    "methods",
    "optimizers",
    "trackers",
)
BUILT_IN = "sslkit"
NOTEBOOK = "this session"

AnyClass = TypeVar("AnyClass", bound=type)


@dataclass(frozen=True)
class Component:
    """A name and where its class is found; nothing is imported until `load`."""

    kind: str
    name: str
    target: str
    distribution: str
    given: type | None = None

    def load(self) -> type:
        """Import the class; what a plugin prints goes to stderr, what it raises becomes one sentence."""
        if self.given is not None:
            return self.given
        module, _, attribute = self.target.partition(":")
        if self.distribution == BUILT_IN:
            return attrgetter(attribute)(import_module(module))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                loaded = attrgetter(attribute)(import_module(module))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit while it is imported
            raise PluginError(
                f"{self.kind}: {self.name!r} comes from {self.distribution}, which can't be imported from "
                f"{self.target!r}: {type(error).__name__}: {error}. Repair or uninstall that package."
            ) from error
        if not isinstance(loaded, type):
            raise ContractError(
                f"{self.kind}: {self.name!r} of {self.distribution}: {self.target!r} is not a class but {loaded!r}."
            )
        return loaded


@dataclass
class Registry:
    """The components of one kind.

    Args:
        kind: the plural, also the entry-point group `sslkit.<kind>`.
        one: the singular, for messages.
        builtins: name -> `module:Class`.
        offered: parameters of `__init__` that the framework fills, by name.
        calls: methods of which a component declares any of the names offered.
        takes: methods called with that many arguments, in order, under names of the component's own.
        options: keys of a recipe's section that belong to the framework -> (type, default).
        overridable: those of the options for which a component may declare a default of its own.
        needs: what else the kind asks of a class: class -> a sentence of what is missing, or "".
    """

    kind: str
    one: str
    builtins: Mapping[str, str]
    offered: Sequence[str] = ()
    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    takes: Mapping[str, int] = field(default_factory=dict)
    options: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    overridable: Sequence[str] = ()
    needs: Callable[[type], str] | None = None
    _registered: dict[str, Component] = field(default_factory=dict, repr=False)
    _checked: dict[str, type] = field(default_factory=dict, repr=False)

    def claims(self) -> dict[str, list[Component]]:
        """Every name with all that claim it; more than one is a clash."""
        found = {name: [Component(self.kind, name, target, BUILT_IN)] for name, target in self.builtins.items()}
        for offer in plugins.scan().offers:
            if offer.kind == self.kind:
                found.setdefault(offer.name, []).append(Component(*offer))
        for name, component in self._registered.items():
            others = [other for other in found.get(name, []) if other.target != component.target]
            found[name] = [*others, component]  # the same class, installed as a plugin too, is no clash
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """Every name of this kind, sorted; imports nothing."""
        return list(self.claims())

    def component(self, name: str) -> Component:
        """The record behind a name."""
        claims = self.claims()
        if name not in claims:
            unread = "".join(f" ({one.distribution} can't be read: {one.reason})" for one in plugins.scan().broken)
            brings = distribution_of(self.kind, name)
            near = f" {brings} brings it: pip install {brings}." if brings else did_you_mean(name, claims)
            raise UnknownName(f"no {self.one} is called {name!r}.{near} Known: {listed(claims)}.{unread}")
        if len(claims[name]) > 1:
            who = " and ".join(component.distribution for component in claims[name])
            raise PluginError(
                f"{self.one} {name!r} is claimed by {who}; uninstall all but one of them "
                f"(what sslkit brings itself can't be replaced)."
            )
        return claims[name][0]

    def load(self, name: str) -> type:
        """The class behind a name, checked against the contract of its kind."""
        component = self.component(name)
        loaded = component.load()
        if self._checked.get(name) is not loaded:
            self.check(loaded)
            self._checked[name] = loaded
        return loaded

    def check(self, component: type) -> None:
        """Raise ContractError if a class asks for more than this kind offers."""
        reserved = [key for key in self.options if key not in self.overridable]
        signatures.check_contract(
            component, kind=self.kind, offered=self.offered, calls=self.calls, takes=self.takes, reserved=reserved
        )
        if self.needs is not None and (missing := self.needs(component)):
            raise ContractError(f"{component.__module__}.{component.__qualname__}: {missing}")

    def model(self, name: str) -> type[BaseModel]:
        """The pydantic model of a recipe's section that names this component."""
        return signatures.model_of(self.load(name), name=name, options=self.options)

    def filled(self, name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """(parameters, options) of a section, checked and with defaults; pydantic's ValidationError says what is wrong.

        It is read as JSON: there a list may fill a tuple and an integer a float, and all else is strict.
        """
        model = self.model(name).model_validate_json(json.dumps(given, default=str))
        own = signatures.keyword_only(self.load(name))
        return {key: getattr(model, key) for key in own}, {key: getattr(model, key) for key in self.options}

    def build(self, name: str, parameters: Mapping[str, Any] | None = None, **offered: Any) -> Any:
        """An instance: `parameters` from the recipe, and those of the `offered` that the class declares."""
        loaded = self.load(name)
        init = signatures.constructor(loaded)
        given = signatures.declared(init, offered) if init else {}
        filled = dict(parameters or {})
        for key, kind in signatures.nested(loaded).items():
            if key in filled:
                filled[key] = [registry_of(kind)._inside(section, f"{key}.{i}") for i, section in enumerate(filled[key])]
        return loaded(**given, **filled)

    def _inside(self, section: Mapping[str, Any], place: str) -> tuple[Any, ...]:
        """The component that a section inside of another one names: its name, the object, and the options of its kind."""
        name = section["name"]
        parameters, options = self.filled(name, {key: value for key, value in section.items() if key != "name"})
        try:
            return name, self.build(name, parameters), *options.values()
        except UserError as error:
            named = inside(str(error), {**parameters, **options})
            raise UserError(f"{place}.{error}" if named else f"{place}: {name!r}: {error}") from error

    def register(self, name: str) -> Callable[[AnyClass], AnyClass]:
        """Class decorator for notebooks and scripts; running a cell again replaces what it registered before."""

        def decorate(component: Any) -> Any:
            if not isinstance(component, type):
                raise ContractError(f"{self.one} {name!r}: must be a class, is {component!r}.")
            target = f"{component.__module__}:{component.__qualname__}"
            others = [c for c in self.claims().get(name, []) if c.target != target]
            if others:
                raise ContractError(f"{self.one} {name!r} exists already, from {others[0].distribution}.")
            self.check(component)
            self._registered[name] = Component(self.kind, name, target, NOTEBOOK, given=component)
            return component

        return decorate


@cache
def registry_of(kind: str) -> Registry:
    """The registry of a kind, `registry_of("losses")`."""
    if kind not in KINDS:
        raise UnknownName(f"no kind of component is called {kind!r}.{did_you_mean(kind, KINDS)} Known: {listed(KINDS)}.")
    found: Registry = import_module(f"sslkit.{kind}").registry
    return found


def register(kind: str, name: str) -> Callable[[AnyClass], AnyClass]:
    """Give a class of your own a name that recipes and `registry_of(kind)` know.

    >>> @register("losses", "alignment")
    ... class Alignment:
    ...     def __call__(self, z1, z2):
    ...         return (z1 - z2).square().sum(1).mean()
    """
    return registry_of(kind).register(name)
