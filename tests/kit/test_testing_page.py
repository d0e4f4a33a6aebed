"""The page of the docs about testing a component: its tables are the checks, and its lines are run as an author has them."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from sslkit.registry import KINDS, registry_of
from sslkit.testing.conformance import asked_by

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "testing.md").read_text(encoding="utf-8")
HEADINGS = {"every_kind": "What is asked of every kind", **{kind: kind.capitalize() for kind in KINDS}}
CONFTEST = """
import cv2
import numpy as np
import pytest
import sslkit
from sslkit_hinge import Hinge

sslkit.register("losses", "hinge")(Hinge)

@pytest.fixture
def folder(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / split / "shoe").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / split / "shoe" / "1.png"), np.zeros((40, 30, 3), np.uint8))
    return tmp_path
"""


@pytest.mark.parametrize("room", HEADINGS)
def test_the_tables_are_the_checks(room):
    checks = import_module(f"sslkit.testing.{room}").CHECKS
    expected = "".join(f"| `{check.__name__}` | {asked_by(check)} |\n" for check in checks)
    found = re.search(rf"^## {HEADINGS[room]}\n[^#]*?^\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found
    assert found[1] == expected


@pytest.fixture
def author(pytester):
    """A folder with the package of `extend.md`, and with the lines of the page as test modules."""
    (package,) = re.findall(r"<!-- package: module -->\n```python\n(.*?)```", (DOCS / "extend.md").read_text(), re.DOTALL)
    blocks = re.findall(r"<!-- author -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == PAGE.count("```python")
    pytester.makepyfile(sslkit_hinge=package, **{f"test_author_{number}": text for number, text in enumerate(blocks)})
    pytester.makeconftest(CONFTEST)
    pytester.syspathinsert()
    yield pytester
    registry_of("losses")._registered.clear()


def test_the_lines_are_an_authors(author):
    result = author.runpytest_inprocess("-p", "no:cacheprovider", "-q")
    outcomes = result.parseoutcomes()
    assert {name: outcomes.get(name, 0) for name in ("failed", "errors", "xfailed")} == {"failed": 1, "errors": 0, "xfailed": 1}
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    result.stdout.fnmatch_lines([f"E *{line}" for line in shown.splitlines()])
