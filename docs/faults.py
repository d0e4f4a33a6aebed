"""Write `docs/faults.md`: which faults the tests inject, as the marks `fault` on the tests say it themselves.

python docs/faults.py           # after a mark was added or changed, or a test renamed
python docs/faults.py PAGE      # elsewhere: a test compares the two
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "faults.md"
TEMPLATE = ROOT / "docs" / "faults_template.md"
TABLES = "<!-- tables -->\n"
THEMES = ("process", "several processes", "data", "recipe", "plugins", "files", "numbers", "resources")


class Fault(NamedTuple):
    """A mark on a test: what goes wrong, how the test brings it about, what is to be seen then."""

    theme: str
    what: str
    injected: str
    expected: str
    test: str


def fault(test: str, what: str, *, injected: str, expected: str, theme: str) -> Fault:
    """The fault of one mark; its signature is what the mark takes."""
    if theme not in THEMES:
        raise ValueError(f"{test}: there is no theme {theme!r} of faults. Known: {', '.join(THEMES)}.")
    return Fault(theme, what, injected, expected, test)


class Marks:
    """A plugin of pytest that keeps the marks `fault` of what was collected, each once however many cases its test has."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Collected is all that will be."""
        found: dict[Fault, None] = {}
        for item in session.items:
            test = item.nodeid.split("[", maxsplit=1)[0]
            for mark in reversed(list(item.iter_markers("fault"))):  # as they stand in the file
                found[fault(test, *mark.args, **mark.kwargs)] = None
        self.found = sorted(found, key=lambda one: (THEMES.index(one.theme), one.test))


def collected() -> list[Fault]:
    """The marks of all tests, by pytest's own collection of the files that have some; no test is run."""
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.fault(" in path.read_text()]
    marks = Marks()
    os.chdir(ROOT)
    with contextlib.redirect_stdout(io.StringIO()):  # the list of tests
        status = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *files], plugins=[marks])
    if status != pytest.ExitCode.OK:
        raise SystemExit(f"pytest can't collect the tests: pytest --collect-only says why ({status!r}).")
    return marks.found


def page(faults: Sequence[Fault]) -> str:
    """The whole page: the template with a table for each theme."""
    lines: list[str] = []
    for theme in THEMES:
        lines += [
            f"## {theme.capitalize()}",
            "",
            "| fault | how it is injected | what is expected | test |",
            "|---|---|---|---|",
        ]
        for one in faults:
            if one.theme == theme:
                cells = [cell.replace("|", "\\|") for cell in (one.what, one.injected, one.expected)]
                lines.append(f"| {' | '.join(cells)} | `{one.test}` |")
        lines.append("")
    return TEMPLATE.read_text().replace(TABLES, "\n".join(lines)).replace("<!-- count -->", str(len(faults)))


if __name__ == "__main__":
    (Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else PAGE).write_text(page(collected()))
