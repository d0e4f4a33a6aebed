"""Signature -> contract and pydantic model: what a component takes from the framework, and what from the recipe.

Positional parameters come from the framework; keyword-only parameters come from the recipe. Everything that is said about a
component (its check, its schema, its table in the docs, the "did you mean" list) is read off here.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from sslkit.errors import ContractError, listed

if TYPE_CHECKING:
    from pydantic import BaseModel

_Kind = inspect.Parameter


@dataclass(frozen=True)
class Sections:
    """Marks a parameter that holds a list of sections, each naming a component of a kind.

    `operations: Annotated[list[Any], Sections("augmentations")]` is written like any other list of augmentations in a recipe,
    and comes to the class as a list of `(name, object, p)`: the options of the kind follow the object.
    """

    kind: str


def written(component: type, method: str) -> FunctionType | None:
    """The function that someone wrote for a method, or none where a class only inherits torch's or Python's own.

    A torch module is called through its `forward`, its own or one that it inherits from a layer of torch.
    """
    for owner in component.__mro__:
        found = vars(owner).get(method)
        if isinstance(found, FunctionType) and owner.__module__.split(".")[0] not in ("torch", "typing", "builtins"):
            return found
    forward = getattr(component, "forward", None) if method == "__call__" else None
    return forward if isinstance(forward, FunctionType) and forward.__name__ != "_forward_unimplemented" else None


def constructor(component: type) -> FunctionType | None:
    """The `__init__` that someone wrote, or none if the class takes no parameters."""
    return written(component, "__init__")


def parameters_of(function: Callable[..., Any] | None) -> list[inspect.Parameter]:
    """A function's parameters without `self`."""
    if function is None:
        return []
    parameters = list(inspect.signature(function).parameters.values())
    owner = getattr(function, "__qualname__", "").rpartition(".")[0]
    is_method = isinstance(function, FunctionType) and owner != "" and not owner.endswith("<locals>")
    return parameters[1:] if is_method else parameters


def keyword_only(component: type) -> dict[str, inspect.Parameter]:
    """The parameters that a recipe fills, with resolved annotations."""
    init = constructor(component)
    found = {p.name: p for p in parameters_of(init) if p.kind is _Kind.KEYWORD_ONLY}
    if not found or init is None:
        return {}
    annotated = SimpleNamespace(__annotations__={k: p.annotation for k, p in found.items()})
    hints = typing.get_type_hints(annotated, globalns=inspect.unwrap(init).__globals__, include_extras=True)
    return {name: parameter.replace(annotation=hints[name]) for name, parameter in found.items()}


def nested(component: type) -> dict[str, str]:
    """The parameters that hold lists of sections, and of which kind."""
    found = {}
    for name, parameter in keyword_only(component).items():
        for mark in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(mark, Sections):
                found[name] = mark.kind
    return found


def declared(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """The part of what the framework offers that a function declares."""
    names = {p.name for p in parameters_of(function)}
    return {name: value for name, value in offered.items() if name in names}


def check_contract(
    component: type,
    *,
    kind: str,
    offered: Sequence[str],
    calls: Mapping[str, Sequence[str]],
    takes: Mapping[str, int],
    reserved: Sequence[str],
) -> None:
    """Raise ContractError, with both signatures, if a class asks for more than its kind offers.

    `offered` are the constructor's parameters that the framework fills; `calls` the methods of which a component may declare
    any of the names ("*": and outputs under names of its own); `takes` the methods called with that many arguments in order;
    `reserved` the recipe keys that belong to the framework.
    """
    label = f"{component.__module__}.{component.__qualname__}"
    init = constructor(component)
    if init is not None:
        own = [p for p in parameters_of(init) if p.kind is not _Kind.KEYWORD_ONLY]
        _check_names(init, own, offered, label=label, kind=kind)
    for method, names in calls.items():
        function = _required(component, method, names, label=label, kind=kind)
        _check_names(function, parameters_of(function), names, label=label, kind=kind)
    for method, count in takes.items():
        _check_count(_required(component, method, ["..."] * count, label=label, kind=kind), count, label=label)
    _check_keywords(component, label=label, reserved=reserved)


def _required(component: type, method: str, names: Sequence[str], *, label: str, kind: str) -> FunctionType:
    function = written(component, method)
    if function is None:
        raise ContractError(f"{label}: {kind} are called as {_signature(method, names)}, which it does not define.")
    return function


def _signature(method: str, names: Sequence[str]) -> str:
    return f"{method}({', '.join(['self', *names])})"


def _check_names(
    function: FunctionType, parameters: Sequence[inspect.Parameter], names: Sequence[str], *, label: str, kind: str
) -> None:
    for parameter in parameters:
        by_position = parameter.kind in (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD, _Kind.VAR_POSITIONAL)
        outputs = "*" in names and parameter.default is _Kind.empty and by_position
        if parameter.name in names or outputs:
            continue
        raise ContractError(
            f"{label}: {function.__name__}{inspect.signature(function)} asks for {parameter.name!r}, which the framework "
            f"does not offer to {kind}. It offers {_signature(function.__name__, names)}; a component may declare fewer of "
            f"these, and its own parameters stand after a '*' in __init__."
        )


def _check_count(function: FunctionType, count: int, *, label: str) -> None:
    try:
        inspect.signature(function).bind(*[None] * (count + 1))
    except TypeError as error:
        raise ContractError(
            f"{label}: {function.__name__}{inspect.signature(function)} can't be called as "
            f"{_signature(function.__name__, ['...'] * count)}: {error}."
        ) from error


def _check_keywords(component: type, *, label: str, reserved: Sequence[str]) -> None:
    from pydantic import BaseModel

    for parameter in parameters_of(constructor(component)):
        if parameter.kind is not _Kind.KEYWORD_ONLY:
            continue
        name = parameter.name
        if name == "name" or name.startswith("_") or hasattr(BaseModel, name):
            raise ContractError(f"{label}: a parameter may not be called {name!r}; recipes and pydantic use that name.")
        if name in reserved:
            raise ContractError(f"{label}: {name!r} belongs to the framework (reserved here: {listed(reserved)}).")
        if parameter.annotation is _Kind.empty:
            raise ContractError(f"{label}: parameter {name!r} needs a type, for instance '{name}: float = 1.0'.")
    try:
        parameters = keyword_only(component)
    except Exception as error:
        raise ContractError(f"{label}: a parameter's type can't be resolved: {error}.") from error
    for name, parameter in parameters.items():
        _check_type(name, parameter, label=label)


def _check_type(name: str, parameter: inspect.Parameter, *, label: str) -> None:
    """A parameter's type must be one that a recipe and its schema can hold, and its default of that type."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
    from pydantic.errors import PydanticUserError

    try:
        TypeAdapter(parameter.annotation).json_schema()
        if parameter.default is not _Kind.empty:
            config = ConfigDict(validate_default=True, allow_inf_nan=False)
            field: dict[str, Any] = {name: (parameter.annotation, parameter.default)}
            create_model("Default", __config__=config, **field)()
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        default = f"the default of {name!r}, {parameter.default!r}"
        raise ContractError(f"{label}: {default}, does not fit its type: {reason}.") from error
    except (PydanticUserError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ContractError(f"{label}: the type of {name!r} is none that a recipe can hold: {reason}") from error


def model_of(component: type, *, name: str, options: Mapping[str, tuple[Any, Any]]) -> type[BaseModel]:
    """The pydantic model of a component's recipe section: its keyword-only parameters, and the framework's `options`.

    An option that the component declares itself (`p` of an augmentation) takes the component's type and default.
    """
    from pydantic import ConfigDict, create_model

    fields: dict[str, Any] = {}
    for key, (annotation, default) in options.items():
        fields[key] = (annotation, default)
    for key, parameter in keyword_only(component).items():
        default = ... if parameter.default is _Kind.empty else parameter.default
        fields[key] = (parameter.annotation, str(default) if isinstance(default, Path) else default)  # a recipe has no paths
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_default=True, title=name)
    return create_model(component.__name__, __config__=config, __doc__=inspect.getdoc(component), **fields)
