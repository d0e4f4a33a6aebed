"""A run over ranks: one recipe gives the same encoder, numbers and files whatever the number of processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from small import TEXT, newest_checkpoint

from sslkit.distributed.agreement import bytes_from_leader, largest_of_all, led, of_all, refuse_differences, together
from sslkit.distributed.ranks import is_leader, num_ranks, rank
from sslkit.errors import DataError, OtherRankFailed, SslkitError, Stopped, UserError
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.running import Run
from sslkit.testing.ranks import on_ranks

# The weights of LARS are compared over few steps: its trust ratios magnify what rounding makes of a norm.
FEW = ["train.epochs=2", "train.warmup_epochs=0", "train.base_lr=0.05"]


def trained(folder: Path, overrides: tuple[str, ...] = (), stop_at: int | None = None) -> str:
    """A whole run, or one that is asked to stop in the middle of a step, on whichever rank."""
    recipe = Recipe.parse(TEXT, name="small", overrides=[*FEW, *overrides])
    if stop_at is not None:
        _stopping_at(stop_at)
    try:
        run(recipe, folder, report=Lines(Console(quiet=True)))
    except Stopped as error:
        return f"stopped, {error.exit_status}"
    except OtherRankFailed as error:
        return f"followed, {error.exit_status}, {error}"
    return "done"


def _stopping_at(step: int) -> None:
    """SIGTERM to the last rank alone, while it computes a step."""
    original = Run._check

    def check(self: Run, at: int, *arguments: Any) -> None:
        if at == step and rank() == num_ranks() - 1:
            signal.raise_signal(signal.SIGTERM)
        original(self, at, *arguments)

    Run._check = check  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert on_ranks(1, trained, folder) == ["done"]
    return folder


def assert_close(one: Path, other: Path) -> None:
    """The same encoder and log to what rounding does to them in a few steps."""
    expected, found = (load_file(folder / "encoder.safetensors") for folder in (one, other))
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.allclose(found[name].double(), tensor.double(), rtol=1e-3, atol=1e-4), name
    for line, ours in zip(*((folder / "metrics.jsonl").read_text().splitlines() for folder in (one, other)), strict=True):
        assert json.loads(line) == pytest.approx(json.loads(ours), rel=1e-3)


@pytest.mark.parametrize("num_ranks", [2, 3])  # 16 images: shares of 8, and of 5, 5 and 6
@pytest.mark.fault(
    "a batch that the number of ranks does not divide",
    injected="16 images over 3 ranks",
    expected="shares of 5, 5 and 6 train the encoder of one process, to rounding",
    theme="several processes",
)
def test_ranks_train_and_evaluate_as_one_process(alone: Path, tmp_path: Path, num_ranks: int) -> None:
    assert on_ranks(num_ranks, trained, tmp_path / "run") == ["done"] * num_ranks
    assert_close(alone, tmp_path / "run")
    expected, found = (json.loads((folder / "results.json").read_text()) for folder in (alone, tmp_path / "run"))
    assert found["finished"]
    assert [one["protocol"] for one in found["results"]] == [one["protocol"] for one in expected["results"]]
    files = [{path.name for path in folder.iterdir()} for folder in (alone, tmp_path / "run")]
    assert files[0] == files[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_micro_batches_over_ranks_are_those_of_one_process(tmp_path: Path, workers: int) -> None:
    overrides = ("train.micro_batch=6", "evaluate=[]")
    on_ranks(1, trained, tmp_path / "one", overrides)
    on_ranks(2, trained, tmp_path / "two", (*overrides, f"data.workers={workers}"))
    assert_close(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize("num_ranks", [2, 3])
@pytest.mark.fault(
    "SIGTERM to one rank alone",
    injected="raised on the last of 2 and 3 ranks in the middle of a step",
    expected="all leave after the same step; resumed, the bits of a run left alone",
    theme="several processes",
)
def test_a_stop_on_one_rank_stops_all_and_the_resume_equals_never_stopped(tmp_path: Path, num_ranks: int) -> None:
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    assert on_ranks(num_ranks, trained, whole) == ["done"] * num_ranks
    said = on_ranks(num_ranks, trained, stopped, (), 3)
    assert said[0] == "stopped, 75"
    assert set(said[1:]) == {"followed, 75, "}, said  # with the leader's status, whoever heard the signal
    assert len((stopped / "metrics.jsonl").read_text().splitlines()) == 4
    assert on_ranks(num_ranks, trained, stopped) == ["done"] * num_ranks
    for name in ("encoder.safetensors", "metrics.jsonl", "results.json"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (newest_checkpoint(folder) for folder in (stopped, whole))
    assert ours.name == theirs.name
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.fault(
    "a resume with fewer processes",
    injected="3 ranks stopped, then 2",
    expected="equal to a run of one process, to rounding",
    theme="several processes",
)
def test_a_run_goes_on_with_another_number_of_ranks(alone: Path, tmp_path: Path) -> None:
    on_ranks(3, trained, tmp_path / "run", (), 2)
    assert on_ranks(2, trained, tmp_path / "run") == ["done"] * 2
    assert_close(alone, tmp_path / "run")


def refused(folder: Path, of_rank: dict[int, list[str]]) -> tuple[str, str, int]:
    """What a rank says whose recipe is another than that of the others."""
    recipe = Recipe.parse(TEXT, name="small", overrides=[*FEW, *of_rank.get(rank(), [])])
    try:
        run(recipe, folder, report=Lines(Console(quiet=True)))
    except SslkitError as error:
        return type(error).__name__, str(error), error.exit_status
    return "done", "", 0


@pytest.mark.fault(
    "one rank raises an error at the start",
    injected="too few images on rank 1 of 3",
    expected="its message, once; all end with its status",
    theme="several processes",
)
def test_a_mistake_that_one_rank_alone_meets_ends_all_with_its_message(tmp_path: Path) -> None:
    """It stands once, at the rank that met it: the others are on the same machine."""
    found = on_ranks(3, refused, tmp_path / "run", {1: ["data.num_images=2"]})
    assert [name for name, _, _ in found] == ["OtherRankFailed", "DataError", "OtherRankFailed"]
    assert "train.batch_size: is 16" in found[1][1]
    assert [(text, status) for _, text, status in found[::2]] == [("", 2), ("", 2)]
    assert not (tmp_path / "run").exists()


@pytest.mark.fault(
    "ranks with different recipes or numbers of images",
    injected="another override on rank 1",
    expected="refused, with the rank and both values",
    theme="several processes",
)
def test_ranks_that_see_other_recipes_or_images_are_named(tmp_path: Path) -> None:
    found = on_ranks(2, refused, tmp_path / "run", {1: ["data.num_images=70"]})
    assert found[0][0] == "UserError"
    assert found[0][1].startswith("rank 1: num_images is 70, and on rank 0 it is 60. All ranks")
    found = on_ranks(2, refused, tmp_path / "run", {1: ["loss.temperature=0.3"]})
    assert found[0][1].startswith("rank 1: recipe is ")
    assert not (tmp_path / "run").exists()


def test_more_ranks_than_images_in_a_micro_batch(tmp_path: Path) -> None:
    found = on_ranks(3, refused, tmp_path / "run", {number: ["train.micro_batch=2"] for number in range(3)})
    assert "train.micro_batch: 3 processes share 2 images" in found[0][1]


def facts() -> dict[str, Any]:
    return {
        "largest": [largest_of_all(0), largest_of_all(5 * (rank() == 1)), largest_of_all(rank())],
        "led": led(lambda: {"rank": rank()}),
        "bytes": [bytes_from_leader(bytes([rank()] * 3)), bytes_from_leader(b"" if is_leader() else b"x")],
        "of_all": of_all("long" * rank()),
    }


def test_agreement_by_hand() -> None:
    expected = {
        "largest": [0, 5, 2],
        "led": {"rank": 0},
        "bytes": [b"\0\0\0", b""],
        "of_all": ["", "long", "longlong"],
    }
    assert on_ranks(3, facts) == [expected] * 3


def failing(number: int | None) -> str:
    try:
        with together():
            if rank() == number:
                raise DataError("no images")
    except SslkitError as error:
        return f"{type(error).__name__} {error.exit_status}"
    return "fine"


def test_together_all_leave_or_none() -> None:
    assert on_ranks(2, failing, None) == ["fine", "fine"]
    assert on_ranks(2, failing, 0) == ["DataError 2", "OtherRankFailed 2"]
    assert on_ranks(2, failing, 1) == ["OtherRankFailed 2", "DataError 2"]


def test_another_node_repeats_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    assert on_ranks(2, of_other_node) == ["rank 1: no images", "no images"]


def of_other_node() -> str:
    import os

    os.environ["LOCAL_WORLD_SIZE"] = "1"
    try:
        with together():
            if rank() == 1:
                raise DataError("no images")
    except SslkitError as error:
        return str(error)
    return "fine"


def differing() -> str:
    try:
        refuse_differences({"same": 1, "torch": f"2.{rank()}"}, advice="Mend it.")
    except UserError as error:
        return str(error)
    except OtherRankFailed:
        return "followed"
    return "fine"


@pytest.mark.fault(
    "ranks with different versions",
    injected="another version told by rank 1",
    expected="refused, with the rank and both versions",
    theme="several processes",
)
def test_differences_are_named_by_the_leader() -> None:
    assert on_ranks(2, differing) == ["rank 1: torch is '2.1', and on rank 0 it is '2.0'. Mend it.", "followed"]


def test_the_folder_of_a_fresh_run_is_the_leader_s(alone: Path, tmp_path: Path) -> None:
    """Two processes that looked each by itself might find two names."""
    (tmp_path / "run").mkdir()
    assert on_ranks(2, fresh, tmp_path / "run") == [str(tmp_path / "run-2")] * 2
    assert RunFolder(tmp_path / "run-2").results.exists()


def fresh(folder: Path) -> str:
    recipe = Recipe.parse(TEXT, name="small", overrides=[*FEW, "evaluate=[]"])
    return str(run(recipe, folder, report=Lines(Console(quiet=True)), fresh=True).path)
