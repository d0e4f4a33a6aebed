"""What benchmarks write into a page: a section between two marks that name the script, and what it was measured with."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path


def check(page: Path, script: str) -> None:
    """Stop if the page has no place for a script's section."""
    _around(page, script)


def write(page: Path, script: str, section: str) -> None:
    """Replace what stands between the page's two marks."""
    before, after = _around(page, script)
    first, last = _marks(script)
    page.write_text(f"{before}{first}\n{section}\n{last}{after}")


def versions(*names: str) -> str:
    """Of Python and of those of the packages that are installed."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])


def _marks(script: str) -> tuple[str, str]:
    return f"<!-- {script} -->", f"<!-- end {script} -->"


def _around(page: Path, script: str) -> tuple[str, str]:
    """What stands before and behind the two marks."""
    first, last = _marks(script)
    before, found, rest = page.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not (found and end):
        raise SystemExit(f"{page}: has no marks {first} and {last}.")
    return before, after
