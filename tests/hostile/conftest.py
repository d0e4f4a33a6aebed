"""The process that reads hostile files, started once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    """`watched(reader, path)`: what became of a file, as `watched_reader.py` tells it."""
    root = HERE.parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, HERE.parent, HERE))), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / "watched_reader.py"), str(tmp_path_factory.mktemp("good") / "files")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "{}\n", "it reads good files of each kind first"

        def read(reader, path, *, seconds=20.0):
            process.stdin.write(json.dumps({"reader": reader, "path": str(path), "seconds": seconds}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield read
        process.stdin.close()
