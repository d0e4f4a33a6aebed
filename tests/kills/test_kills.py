"""Kills: a run that is killed with SIGKILL, wherever it stands, goes on to the very bits of one that never was.

Every call by which a run changes its folder for good (fsync, rename, unlink) is counted in a run that is left alone; then runs
are killed just before the first call, before the second, and so on. Others are killed while they compute a step, the leader or
another rank. By default each call is tried with one process and a spread of them with several, with and without workers;
`SSLKIT_EVERY_KILL=1` tries each call everywhere.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small import STEPS, TEXT, newest_checkpoint

from sslkit.checkpoint_folder import newest_first
from sslkit.distributed.ranks import rank
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.running import Run
from sslkit.testing.ranks import on_ranks

CALLS = ("fsync", "replace", "rename", "unlink")
EVERY = bool(os.environ.get("SSLKIT_EVERY_KILL"))
COMBINATIONS = [(1, 0), (1, 2), (2, 0), (2, 2), (3, 0), (3, 2)]  # ranks, workers


def trained(folder: Path, workers: int, *, kill: Callable[[], None] = lambda: None) -> None:
    """A whole run; `kill` arranges its end."""
    kill()
    overrides = [f"data.workers={workers}", 'evaluate=[{name="knn", k=3, every_epochs=2}]', "train.keep_every_epochs=2"]
    run(Recipe.parse(TEXT, name="small", overrides=overrides), folder, report=Lines(Console(quiet=True)))


def killed_at_call(folder: Path, workers: int, number: int | None) -> list[str]:
    """A run whose leader dies before a call that changes its folder; without a number it lives, and its calls are given."""
    calls: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if rank() == 0 and len(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            calls.append(f"{name} {_told(arguments[0], folder)}")
            return original(*arguments, **options)

        return call

    def kill() -> None:
        for name in CALLS:
            setattr(os, name, watched(name))

    trained(folder, workers, kill=kill)
    return calls


def killed_at_step(folder: Path, workers: int, step: int, victim: int) -> None:
    """A run of which one rank dies when a step's gradients are there and nothing is updated yet."""
    original = Run._check

    def check(self: Run, at: int, *arguments: Any) -> None:
        if at == step and rank() == victim:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, at, *arguments)

    def kill() -> None:
        Run._check = check  # type: ignore[method-assign]

    trained(folder, workers, kill=kill)


def _told(place: Any, folder: Path) -> str:
    """A file by its name in the run folder; of a descriptor what it stands for."""
    path = Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(place)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else path.name


def dies(num_ranks: int, victim: int, function: Callable[..., Any], *arguments: Any) -> None:
    """The run ends because that rank died, and for no other reason."""
    with pytest.raises(AssertionError, match=f"rank {victim}: died"):
        on_ranks(num_ranks, function, *arguments)


def assert_same(ours: Path, whole: Path, *, why: str) -> None:
    """The same weights, optimizer state, log and results, to the bit, and nothing left over."""
    for name in ("encoder.safetensors", "metrics.jsonl", "results.json", "resolved.toml", "recipe.toml"):
        assert (ours / name).read_bytes() == (whole / name).read_bytes(), f"{why}: {name}"
    assert newest_checkpoint(ours).read_bytes() == newest_checkpoint(whole).read_bytes(), why
    left, expected = ({str(path.relative_to(one)) for path in one.rglob("*")} for one in (ours, whole))
    assert left == expected, why


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda one: f"{one[0]}-ranks-{one[1]}-workers")
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int, Path, list[str]]:
    """A run that is left alone, with so many ranks and workers, and the leader's calls."""
    num_ranks, workers = request.param
    folder = tmp_path_factory.mktemp("whole") / "run"
    return num_ranks, workers, folder, on_ranks(num_ranks, killed_at_call, folder, workers, None)[0]


@pytest.mark.fault(
    "SIGKILL before a sync, rename or deletion, also while a checkpoint is written or an old one deleted",
    injected="the leader kills itself before the n-th such call: each call with one process, a spread of them with 2 and 3",
    expected="the same command goes on; encoder, log, results and newest checkpoint equal to the bit those "
    "of a run left alone; no file left over",
    theme="process",
)
def test_killed_before_each_call(whole: tuple[int, int, Path, list[str]], tmp_path: Path) -> None:
    num_ranks, workers, expected, calls = whole
    assert len(calls) > 30, "checkpoints, records and results are written"
    assert {call.split()[0] for call in calls} >= {"fsync", "replace", "unlink"}
    every = EVERY or (num_ranks, workers) == (1, 0)
    for number in range(0, len(calls), 1 if every else len(calls) // 3):
        folder = tmp_path / str(number)
        dies(num_ranks, 0, killed_at_call, folder, workers, number)
        on_ranks(num_ranks, trained, folder, workers)
        assert_same(folder, expected, why=f"killed before call {number}, {calls[number]}")


@pytest.mark.fault(
    "SIGKILL in the middle of a step, several times in one run",
    injected="a rank kills itself before the update of steps 0, 4 and the last; 1, 2 and 3 ranks, 0 and 2 workers",
    expected="the same bits as a run left alone",
    theme="process",
)
def test_killed_at_steps_again_and_again(whole: tuple[int, int, Path, list[str]], tmp_path: Path) -> None:
    """One run, killed three times, whichever rank."""
    num_ranks, workers, expected, _ = whole
    for step in (0, 4, STEPS - 1):
        dies(num_ranks, step % num_ranks, killed_at_step, tmp_path / "run", workers, step, step % num_ranks)
    on_ranks(num_ranks, trained, tmp_path / "run", workers)
    assert_same(tmp_path / "run", expected, why="killed at steps 0, 4 and the last")


def test_the_comparison_sees_a_bit(whole: tuple[int, int, Path, list[str]], tmp_path: Path) -> None:
    """What it compares with is not what it made."""
    num_ranks, workers, expected, _ = whole
    if (num_ranks, workers) != (1, 0):
        return
    on_ranks(1, trained, tmp_path / "run", 0)
    assert_same(tmp_path / "run", expected, why="never killed")
    path = newest_first(tmp_path / "run/checkpoints")[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "run", expected, why="one bit")
