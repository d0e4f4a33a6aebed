"""`sslkit run --nproc N`: processes that torch's elastic agent starts and watches, and what becomes of one that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console
from small import TEXT, recipe_file, sslkit

from sslkit.distributed import launch as launching
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.testing.ranks import on_ranks

LONG = TEXT.replace("epochs = 3", "epochs = 25").split("[[evaluate]]", maxsplit=1)[0]


def started(recipe: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sslkit", "run", str(recipe), "-o", str(folder), "--nproc", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for(path: Path, lines: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (path.exists() and len(path.read_text().splitlines()) >= lines):
        time.sleep(0.02)


def trained(recipe: Path, folder: Path) -> None:
    run(Recipe.load(recipe), folder, report=Lines(Console(quiet=True)))


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.fault(
    "one of two processes is killed",
    injected="SIGKILL to a child of `sslkit run --nproc 2`",
    expected="it is started again by itself, and ends with the bits of a run left alone",
    theme="several processes",
)
def test_a_rank_that_is_killed_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path, LONG)
    process = started(recipe, tmp_path / "killed")
    wait_for(tmp_path / "killed" / "metrics.jsonl", 20)
    os.kill(children(process.pid)[-1], signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "a process died of SIGKILL" in said
    assert "goes on after step" in said
    assert "Traceback" not in said
    on_ranks(2, trained, recipe, tmp_path / "whole")
    for name in ("encoder.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
@pytest.mark.fault(
    "SIGTERM or SIGINT to a command of two processes",
    injected="the signal is sent while they train",
    expected="a checkpoint is saved, exit status 75 or 130",
    theme="several processes",
)
def test_a_signal_to_the_command_saves_and_stops_all(tmp_path: Path, number: int, status: int) -> None:
    process = started(recipe_file(tmp_path, LONG), tmp_path / "run")
    wait_for(tmp_path / "run" / "metrics.jsonl", 5)
    process.send_signal(number)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == status, said
    assert "stopped, and saved in" in said
    assert "death signal" not in said
    assert list((tmp_path / "run" / "checkpoints").glob("*.safetensors"))


@pytest.mark.fault(
    "a mistake of the user in several processes",
    injected="a batch larger than the data",
    expected="said once, exit status 2, no restart",
    theme="several processes",
)
def test_a_mistake_is_told_once_and_nothing_is_tried_again(tmp_path: Path) -> None:
    done = sslkit("run", recipe_file(tmp_path), "--nproc", 2, "--set", "train.batch_size=999", cwd=tmp_path, check=2)
    assert done.stderr.count("train.batch_size: is 999") == 1
    assert "started again" not in done.stdout + done.stderr


@pytest.mark.fault(
    "`--nproc` under torchrun",
    injected="`WORLD_SIZE` set",
    expected="explained, exit status 2",
    theme="several processes",
)
def test_what_does_not_go_with_nproc(tmp_path: Path) -> None:
    recipe = recipe_file(tmp_path)
    assert "--smoke" in sslkit("run", recipe, "--nproc", 2, "--smoke", cwd=tmp_path, check=2).stderr
    under = sslkit("run", recipe, "--nproc", 2, cwd=tmp_path, check=2, env={"WORLD_SIZE": "2"})
    assert "torchrun has started this process already" in under.stderr


@pytest.mark.parametrize(
    ("statuses", "cause"),
    [
        ([0], 0),
        ([2, 2], 2),
        ([76, -9], -9),  # the one that was killed, not the one that missed it
        ([-15, 2], 2),  # the agent ended the other one
        ([76, -15], 76),
        ([-15], 15),
    ],
)
def test_the_cause_is_told_from_what_follows(statuses: Sequence[int], cause: int) -> None:
    assert launching._root_cause(statuses) == cause


@pytest.mark.fault(
    "a process dies at the same step at each start",
    injected="a launch that ends by signal 9 twice with no progress between",
    expected="no third try, exit status 137",
    theme="several processes",
)
def test_death_at_the_same_place_twice_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with memory that runs out at every start; but as often as there is something new, it goes on."""
    states = iter(["", "a", "b", "b"])
    said: list[str] = []
    for name in ("OMP_NUM_THREADS", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "GLOO_SOCKET_IFNAME"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setattr(launching, "_once", lambda *_, **__: [-9])
    assert launching.launch(["-c", ""], num_processes=2, state=lambda: next(states), say=said.append) == 128 + 9
    assert len(said) == 4
    assert "second time at the same place" in said[-1]
