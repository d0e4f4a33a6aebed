"""Doctests in docstrings, shown as code: Markdown would take their `>>>` for quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

_BLOCK = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)  # up to the next empty line
_FLAG = re.compile(r"\s*# doctest: .*")


class Doctests(griffe.Extension):
    """Puts each doctest of a docstring into a fenced block."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of a class, a function or a module, if it has one."""
        if obj.docstring:
            obj.docstring.value = _BLOCK.sub(_fenced, obj.docstring.value)


def _fenced(found: re.Match[str]) -> str:
    return f"```pycon\n{_FLAG.sub('', found[0])}\n```"
