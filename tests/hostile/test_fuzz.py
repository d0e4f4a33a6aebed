"""A short fuzz of recipes and of result files, watched; `benchmarks/fuzz.py` goes on for as long as one likes."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_hostile_files import refusals

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


@pytest.mark.parametrize("reader", ["fuzz_recipes", "fuzz_files"])
def test_some_cases(watched, tmp_path, reader):
    found = watched(reader, tmp_path, seconds=200.0)
    assert not refusals(found, tmp_path)
    assert "'success'" in found["message"], "some are still what they were"
    assert "Error'" in found["message"]
    assert "crash" not in found["message"], found["message"]


BAD = """
import os, random, sys, time, types
from pathlib import Path
script, keep = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
import fuzz

class Cases:
    suffix = ".toml"
    def make(self, rng):
        return rng.randbytes(9)
    def read(self, path, rng):
        data = path.read_bytes()
        number = next(i for i in range(12) if data == self.make(random.Random(f"make 0 {i}")))
        if number == 3: raise KeyError("x")
        if number == 5: os._exit(3)
        if number == 7: time.sleep(60)
        if number == 9: len(b"x" * (300 * 2**20))

sys.modules["fuzz_recipes"] = types.SimpleNamespace(Cases=Cases)
fuzz.SECONDS = 4
sys.argv = [script, "recipes", "--cases", "12", "--keep", keep]
sys.exit(fuzz.main())
"""


def test_what_must_not_be_is_counted_and_kept(tmp_path):
    done = subprocess.run([sys.executable, "-c", BAD, str(FUZZ), str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    for outcome in ("8  success", "1  crash: KeyError", "1  crash: died", "1  crash: hang", "1  crash: memory"):
        assert outcome in done.stdout, done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"0-{number}.toml" for number in (3, 5, 7, 9)]
