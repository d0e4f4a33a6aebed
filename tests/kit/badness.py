"""Bad: a component that breaks one promise of its kind, and the check that has to see it.

A module of bad components has a `Bads`, and decorates each class with the check that it fails. Checks that can't but fail too
stand in `also`, with the reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from sslkit.registry import registry_of
from sslkit.testing.conformance import asked_by, checks_of, run
from sslkit.testing.subject import Subject

NAME = "bad"
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Bad:
    """One of them: the check that it fails, words of what that check then finds, and the other checks that fail, with the reason."""

    kind: str
    check: str
    finds: str
    component: type
    also: Mapping[str, str]
    parameters: Mapping[str, Any]

    @property
    def subject(self) -> Subject:
        """As the checks are handed it; no registry knows it yet."""
        return Subject(self.kind, NAME, dict(self.parameters), component=self.component)


@dataclass
class Bads:
    """The bad components of a kind."""

    kind: str
    found: list[Bad] = field(default_factory=list)

    def __call__(
        self, check: str, finds: str, *, also: Mapping[str, str] = NONE, parameters: Mapping[str, Any] = NONE
    ) -> Callable[[type], type]:
        """Class decorator; `also` is check -> why it can't but fail too."""

        def decorate(component: type) -> type:
            self.found.append(Bad(self.kind, check, finds, component, also, parameters))
            return component

        return decorate

    def cases(self) -> list[Any]:
        """One pytest case for each."""
        return [pytest.param(bad, id=f"{self.kind}-{bad.check}-{bad.component.__name__}") for bad in self.found]


def failures(bad: Bad) -> dict[str, Exception]:
    """Check -> what it raised, of all checks of the kind that a component fails."""
    registered = registry_of(bad.kind)._registered
    registered.pop(NAME, None)
    found = {}
    try:
        for name, check in checks_of(bad.kind).items():
            try:
                run(check, bad.subject)
            except Exception as error:
                found[name] = error
    finally:
        registered.pop(NAME, None)
    return found


def assert_is_seen(bad: Bad) -> None:
    """The check fails by an assertion that says what is asked and what was found, and no other check fails but those named."""
    found = failures(bad)
    assert sorted(found) == sorted({bad.check, *bad.also}), "\n\n".join(f"{name}: {one!r}" for name, one in found.items())
    message = str(found[bad.check])
    assert isinstance(found[bad.check], AssertionError), message
    assert message.startswith(f"{bad.kind}: {NAME!r}: {asked_by(checks_of(bad.kind)[bad.check])}\n"), message
    facts = message.partition("\n")[2]
    assert bad.finds in facts, facts


def assert_all_can_fail(room: str, bads: Bads) -> None:
    """Each check of a room of `sslkit.testing` has a bad component."""
    checks = checks_of(bads.kind)
    own = {name for name, check in checks.items() if name not in checks_of_every_kind()}
    expected = checks_of_every_kind() if room == "every_kind" else own
    assert {bad.check for bad in bads.found} == set(expected)


def checks_of_every_kind() -> set[str]:
    """The names of the checks that all kinds share."""
    return set.intersection(*(set(checks_of(kind)) for kind in ("augmentations", "losses", "trackers")))
