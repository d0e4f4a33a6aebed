"""A fork over ranks: all begin with the checkpoint that the leader chose, and what is refused ends all."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from small import TEXT, sslkit

from sslkit.errors import SslkitError
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.testing.ranks import on_ranks

SHORT = TEXT[: TEXT.index("[[evaluate]]")]


def started(folder: Path, overrides: tuple[str, ...] = (), fork: bool = False) -> str:
    recipe = Recipe.parse(SHORT, name="small", overrides=[*overrides])
    try:
        return str(run(recipe, folder, report=Lines(Console(quiet=True)), fork=fork).path)
    except SslkitError as error:
        return f"{type(error).__name__} {error.exit_status}: {error}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks") / "run"
    assert on_ranks(2, started, folder) == [str(folder)] * 2
    return folder


def test_a_fork_on_ranks_goes_on_to_the_bits_of_the_run(whole: Path) -> None:
    last = whole / "checkpoints" / "step_0000009.safetensors"
    after = last.read_bytes()
    last.unlink()
    fork = whole.with_name("run-2")
    assert on_ranks(2, started, whole, (), True) == [str(fork)] * 2
    assert (fork / "checkpoints" / last.name).read_bytes() == after
    assert (fork / "metrics.jsonl").read_text() == "".join((whole / "metrics.jsonl").read_text().splitlines(keepends=True)[6:])
    found = on_ranks(2, started, whole, ("head.out_dim=4",), True)
    assert found[0].startswith("RunFolderError 2: --fork: the weights of ")
    assert found[1] == "OtherRankFailed 2: "
    assert not whole.with_name("run-3").exists()


def test_the_command_in_processes(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SHORT)
    place = ("-o", whole, "--fork", "--nproc", 2)
    done = sslkit("run", "small.toml", *place, "--set", "train.epochs=5", cwd=tmp_path)
    assert "forked from" in done.stdout
    (fork,) = (path for path in whole.parent.iterdir() if "epochs = 5" in (path / "resolved.toml").read_text())
    assert RunFolder(fork).read_results()[1]
    again = sslkit("run", "small.toml", *place, "--set", "train.epochs=5", cwd=tmp_path)
    assert f"{fork}: this run is complete" in " ".join(again.stdout.split())
