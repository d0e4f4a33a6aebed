"""Report: findings as plain lines, which stay readable when they are pasted into a bug report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.text import Text

from sslkit.doctor.findings import Finding
from sslkit.printable import printable

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}
_STATE = max(map(len, _STYLES)) + 2


def section_lines(title: str, findings: Iterable[Finding], *, width: int, encoding: str) -> Iterator[Text]:
    """One section: a line a finding with its state, its topic, what was found, and below that what to do.

    Args:
        title: stands above.
        findings: of the section.
        width: of the terminal; words longer than what is left of a line, paths for instance, go beyond it.
        encoding: of the terminal; what it lacks is written out.
    """
    found = [finding._replace(topic=_printable(finding.topic, encoding)) for finding in findings]
    margin = _STATE + max(14, *(len(finding.topic) + 2 for finding in found))
    wrapper = textwrap.TextWrapper(max(width - margin, 30), break_long_words=False, break_on_hyphens=False)
    yield Text(title, "bold")
    for state, topic, text, advice in found:
        paragraphs = [*text.splitlines(), *([f"-> {advice}"] if advice else [])]
        lines = [line for one in paragraphs for line in wrapper.wrap(_printable(one, encoding))] or [""]
        first = (f"{state:{_STATE}}", _STYLES[state]), f"{topic:{margin - _STATE}}{lines[0]}"
        yield Text.assemble(*first, *(f"\n{' ' * margin}{line}" for line in lines[1:]))
    yield Text("")


def verdict(findings: Sequence[Finding]) -> str:
    """The last line."""
    errors, warnings = (sum(one.state == state for one in findings) for state in ("error", "warning"))
    if not errors and not warnings:
        return "Nothing is wrong."
    return f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _printable(text: str, encoding: str) -> str:
    """The text in one line, with what a terminal can't show, or would obey, written out."""
    return " ".join(printable(text).encode(encoding, "backslashreplace").decode(encoding).split())
