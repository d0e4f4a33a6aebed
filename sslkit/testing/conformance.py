"""Conformance: one pytest case for each check of a kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from sslkit.errors import UserError, did_you_mean, listed
from sslkit.registry import registry_of
from sslkit.testing.subject import Subject

Check = Callable[[Subject], None]
NONE: Mapping[str, Any] = MappingProxyType({})


def conformance(
    kind: str,
    name: str,
    *,
    parameters: Mapping[str, Any] = NONE,
    exceptions: Mapping[str, str] = NONE,
    size: int = 32,
) -> Callable[..., None]:
    """A test function with one case for each check of a kind; it needs pytest.

    Args:
        kind: the plural, `losses`.
        name: the component, as recipes name it.
        parameters: of its section in a recipe; those that have no default are needed.
        exceptions: check -> why the component fails it. Such a case has to fail, and by the check's own assertion: once it
            passes, the exception has to go.
        size: side of the images that checks hand it, in pixels.

    Raises:
        UserError: there is no such kind or component, or an exception names no check.

    >>> test_nt_xent = conformance("losses", "nt_xent")
    """
    import pytest

    registry = registry_of(kind)
    subject = Subject(kind, name, dict(parameters), size, component=registry.load(name))
    checks = checks_of(kind)
    for one in exceptions:
        if one not in checks:
            raise UserError(
                f"exceptions: no check of {kind} is called {one!r}.{did_you_mean(one, checks)} Known: {listed(checks)}."
            )
    marks = {one: [pytest.mark.xfail(reason=why, raises=AssertionError, strict=True)] for one, why in exceptions.items()}
    cases = [pytest.param(check, id=key, marks=marks.get(key, [])) for key, check in checks.items()]

    @pytest.mark.parametrize("check", cases)
    def test(check: Check) -> None:
        run(check, subject)

    return test


def checks_of(kind: str) -> dict[str, Check]:
    """Name -> check, of a kind and of all kinds."""
    return {check.__name__: check for room in ("every_kind", kind) for check in import_module(f"sslkit.testing.{room}").CHECKS}


def run(check: Check, subject: Subject) -> None:
    """Check a component; an AssertionError says what is asked, and what was found."""
    try:
        check(subject)
    except AssertionError as error:
        asked = " ".join((check.__doc__ or "").split())
        raise AssertionError(f"{subject.kind}: {subject.name!r}: {asked}\n{error}") from error
