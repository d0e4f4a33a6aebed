"""What is asked of a component of any kind."""

from __future__ import annotations

import re
import sys
from typing import Any

from pydantic import ValidationError

from sslkit import signatures
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject

_SOURCE = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|https?://|\b(19|20)\d\d\b")
_NO_VALUE: dict[str, Any] = {"no": ["such", {"value": 1}]}


def says_what_it_is(subject: Subject) -> None:
    """The docstring of the class says in a sentence what it does."""
    text = (subject.load().__doc__ or "").strip()
    first = text.split("\n\n")[0]
    assert len(first.split()) >= 3, f"the docstring begins {first!r}."


def defaults_are_valid(subject: Subject) -> None:
    """A recipe may write out every default as `sslkit describe` shows it, and it means the same."""
    model = subject.registry.model(subject.name)
    with no_error("the section of a recipe without them"):
        filled = subject.section()
    with no_error("the section of a recipe with all of them"):
        again = model.model_validate_json(filled.model_dump_json())
    for key in signatures.keyword_only(subject.load()):
        assert getattr(again, key) == getattr(filled, key), (
            f"{key} = {getattr(filled, key)!r} comes back as {getattr(again, key)!r}."
        )


def wrong_types_are_refused(subject: Subject) -> None:
    """A parameter of a wrong type is refused when the recipe is read, and not when something breaks on it."""
    for key in signatures.keyword_only(subject.load()):
        refused = set()
        try:
            subject.registry.filled(subject.name, {**subject.parameters, key: _NO_VALUE})
        except ValidationError as error:
            refused = {finding["loc"][0] for finding in error.errors(include_url=False)}
        assert key in refused, f"{key} takes {_NO_VALUE!r}; give it a narrower type."


def cites_a_source(subject: Subject) -> None:
    """The docstring of the class, or of its module, says where it is from: arXiv:2002.05709, a doi, an address, a year."""
    component = subject.load()
    texts = [component.__doc__ or "", sys.modules[component.__module__].__doc__ or ""]
    assert any(_SOURCE.search(text) for text in texts), "neither names a source."


CHECKS = (says_what_it_is, defaults_are_valid, wrong_types_are_refused)
