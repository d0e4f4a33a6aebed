"""The page of faults is what the marks on the tests say, and each mark is complete."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "faults.py"


@pytest.fixture(scope="module")
def faults():
    spec = importlib.util.spec_from_file_location("faults", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["faults"] = module  # NamedTuple looks its annotations up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["faults"]


def test_the_page_is_what_the_marks_say(tmp_path):
    """In a process of its own: pytest collects there once more."""
    subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / "faults.md")], check=True, timeout=300)
    now = (tmp_path / "faults.md").read_text()
    assert now == (ROOT / "docs" / "faults.md").read_text(), "run python docs/faults.py"
    rows = [line for line in now.splitlines() if line.endswith("` |")]
    assert len(rows) > 60
    for row in rows:
        path, *names = row.split("`")[-2].split("::")
        assert f"def {names[-1]}(" in (ROOT / path).read_text(), row


def test_a_mark_of_no_theme_or_without_what_is_expected(faults):
    with pytest.raises(ValueError, match="no theme 'weather'"):
        faults.fault("tests/test_a.py::test_b", "rain", injected="a cloud", expected="wet", theme="weather")
    with pytest.raises(TypeError, match="expected"):
        faults.fault("tests/test_a.py::test_b", "rain", injected="a cloud", theme="data")


def test_a_table_by_hand(faults):
    one = faults.fault("tests/test_a.py::test_b", "a | b", injected="so", expected="that", theme="data")
    assert "## Data\n\n| fault | how it is injected | what is expected | test |\n|---|---|---|---|\n" in faults.page([one])
    assert "| a \\| b | so | that | `tests/test_a.py::test_b` |\n" in faults.page([one])
