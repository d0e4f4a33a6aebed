"""Fuzz: recipes or result files changed at random are read, and nothing but an error of sslkit's, or success, may come of it.

    python benchmarks/fuzz.py recipes --minutes 10
    python benchmarks/fuzz.py checkpoints --minutes 10 --seed 1

Case i of a seed is always the same. A case that ends otherwise, in an exception, in a crash of the process, in more than twenty
seconds or in more memory than three times its size and 128 MiB, is kept as a file in `--keep`, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from sslkit.errors import SslkitError

BATCH = 200  # cases of a process
SECONDS = 20
CONSTANT = 128 * 2**20
CRASH = "crash"  # the beginning of what must not be


def outcome_of(cases: Any, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """What became of a case: a word, and where it is not fine the traceback."""
    path = write_case(cases, seed, number, folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        cases.read(path, random.Random(f"read {seed} {number}"))
    except SslkitError as error:
        return type(error).__name__, ""
    except BaseException as error:
        return f"crash: {type(error).__name__}", traceback.format_exc()[-3000:]
    grew = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    return ("success", "") if grew <= 3 * path.stat().st_size + CONSTANT else ("crash: memory", f"grew by {grew:,} bytes")


def write_case(cases: Any, seed: int, number: int, folder: Path) -> Path:
    """The file of a case."""
    path = folder / f"case{cases.suffix}"
    path.write_bytes(cases.make(random.Random(f"make {seed} {number}")))
    return path


def batch(cases: Any, seed: int, first: int, last: int) -> list[tuple[int, str, str]]:
    """(number, outcome, traceback) of cases that are read in a process of their own; it may die of the last one."""
    come, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(first, last):
                os.write(go, json.dumps([number, *outcome_of(cases, seed, number, Path(folder))]).encode() + b"\n")
        os._exit(0)
    os.close(go)
    found: list[tuple[int, str, str]] = []
    rest, data = b"", b"\n"
    with os.fdopen(come, "rb", buffering=0) as answers:
        while data and (in_time := select.select([answers], [], [], SECONDS)[0]):
            data = answers.read(2**16)
            *lines, rest = (rest + data).split(b"\n")
            found += [tuple(json.loads(line)) for line in lines]
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if len(found) < last - first:
        found.append((first + len(found), "crash: died" if in_time else "crash: hang", ""))
    return found


def fuzz(cases: Any, *, seed: int, seconds: float, most: int, keep: Path) -> collections.Counter[str]:
    """Counts of outcomes, until the time is up or that many cases are read; what crashed is kept."""
    counts: collections.Counter[str] = collections.Counter()
    began, number = time.monotonic(), 0
    while number < most and time.monotonic() - began < seconds:
        found = batch(cases, seed, number, min(most, number + BATCH))
        number = found[-1][0] + 1
        for case, outcome, trace in found:
            counts[outcome] += 1
            if outcome.startswith(CRASH):
                keep.mkdir(parents=True, exist_ok=True)
                kept = write_case(cases, seed, case, keep).replace(keep / f"{seed}-{case}{cases.suffix}")
                print(f"{kept}: {outcome}\n{trace}", flush=True)
    return counts


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("recipes", "checkpoints"))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--cases", type=int, default=sys.maxsize, help="at most so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("crashers"))
    asked = parser.parse_args()
    if asked.what == "recipes":
        from fuzz_recipes import Cases
    else:
        import torch
        from fuzz_files import Cases

        torch.set_num_threads(1)
    warnings.simplefilter("error")  # nothing is said past the errors
    counts = fuzz(Cases(), seed=asked.seed, seconds=60 * asked.minutes, most=asked.cases, keep=asked.keep)
    for outcome, count in counts.most_common():
        print(f"{count:9,}  {outcome}")
    print(f"{sum(counts.values()):9,}  cases of seed {asked.seed}")
    return 1 if any(outcome.startswith(CRASH) for outcome in counts) else 0


if __name__ == "__main__":
    sys.exit(main())
