"""Conformance: one pytest case for each check of a kind."""

from __future__ import annotations

import sys
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
        parameters: of its section in a recipe, written as there: a list stands for a tuple, a string for a path. Those that
            have no default are needed.
        exceptions: check -> why the component fails it. Such a case has to fail, and by the check's own assertion: once it
            passes, the exception has to go.
        size: side of the images that checks hand it, in pixels.

    Raises:
        UserError: there is no such kind or component, a recipe could not have these parameters, or an exception names no
            check or gives no reason.

    >>> test_nt_xent = conformance("losses", "nt_xent")
    """
    import pytest

    registry = registry_of(kind)
    subject = Subject(kind, name, dict(parameters), size, component=registry.load(name))
    if problems := list(subject.problems()):
        raise UserError("\n".join(f"parameters: {problem}" for problem in problems))
    checks = checks_of(kind)
    _check_exceptions(exceptions, checks, kind=kind)
    marks = {one: [pytest.mark.xfail(reason=why, raises=AssertionError, strict=True)] for one, why in exceptions.items()}
    cases = [pytest.param(check, id=key, marks=marks.get(key, [])) for key, check in checks.items()]

    @pytest.mark.parametrize("check", cases)
    def test(check: Check) -> None:
        run(check, subject)

    return test


def _check_exceptions(exceptions: Mapping[str, str], checks: Mapping[str, Check], *, kind: str) -> None:
    for one, why in exceptions.items():
        if one not in checks:
            raise UserError(
                f"exceptions: no check of {kind} is called {one!r}.{did_you_mean(one, checks)} Known: {listed(checks)}."
            )
        if not why.strip():
            raise UserError(f"exceptions: {one}: say why the component fails this check.")


def checks_of(kind: str) -> dict[str, Check]:
    """Name -> check, of a kind and of all kinds."""
    return {check.__name__: check for room in ("every_kind", kind) for check in import_module(f"sslkit.testing.{room}").CHECKS}


def asked_by(check: Check) -> str:
    """The sentence that a check asks, its docstring in one line."""
    return " ".join((check.__doc__ or "").split())


def run(check: Check, subject: Subject) -> None:
    """Check a component; an AssertionError says what is asked, and what was found.

    What else the component raises goes on as it is, with what was asked as a note below it (from Python 3.11 on).
    """
    asked = f"{subject.kind}: {subject.name!r}: {asked_by(check)}"
    try:
        check(subject)
    except AssertionError as error:
        raise AssertionError(f"{asked}\n{error}") from error
    except Exception as error:
        if sys.version_info >= (3, 11):
            error.add_note(asked)
        raise
