"""A fork goes on from a run with an edited recipe, where the run was, and leaves it as it is."""

import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from small import TEXT, recipe_file, sslkit

from sslkit import checkpoint, forking, schedule, toml
from sslkit.errors import CheckpointError, RunFolderError, UserError
from sslkit.finished import FinishedRun
from sslkit.folder import RunFolder
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.run import run

PER_EPOCH, STEPS = 3, 9  # of 60 images, 16 a step, 3 epochs
SIX = "checkpoints/step_0000006.safetensors"
KNN = '[[evaluate]]\nname = "knn"\nk = 3\n'
SHORT = TEXT[: TEXT.index("[[evaluate]]")]


def start(folder, *overrides, text=SHORT, **options):
    """The folder of a run, and what was said."""
    said = io.StringIO()
    recipe = Recipe.parse(text, name="small", overrides=overrides)
    done = run(recipe, folder, report=Lines(Console(file=said, width=500)), text=text, **options)
    return done.path, said.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return start(tmp_path_factory.mktemp("whole") / "run")[0]


@pytest.fixture
def halfway(whole, tmp_path):
    """The same run as it was after two of its three epochs."""
    folder = shutil.copytree(whole, tmp_path / "run")
    for name in ("results.json", "encoder.safetensors", f"checkpoints/step_{STEPS:07d}.safetensors"):
        (folder / name).unlink()
    RunFolder(folder).truncate("metrics.jsonl", step=6)
    return folder


@pytest.fixture
def untouched(halfway):
    """Look at the end that the source is as it was."""
    before = contents(halfway)
    yield
    assert contents(halfway) == before


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def resolved(folder):
    return toml.parse((folder / "resolved.toml").read_text())[0]["resolved"]


def refused(folder, *overrides, error=RunFolderError, **options):
    """The message; nothing may lie beside the run afterwards."""
    beside = {path.name for path in folder.parent.iterdir()}
    with pytest.raises(error) as caught:
        start(folder, *overrides, **options)
    assert {path.name for path in folder.parent.iterdir()} == beside
    return str(caught.value)


@pytest.mark.usefixtures("untouched")
def test_a_fork_with_nothing_changed_is_the_run_itself(whole, halfway):
    folder, said = start(halfway, fork=True)
    assert folder == halfway.with_name("run-2")
    assert f"{folder}: forked from {halfway} after step 6, 2 epochs\n" in said
    assert f"{folder}: goes on after step 6 of 9\n" in said
    assert (folder / "encoder.safetensors").exists()
    ours, theirs = (checkpoint.load(one / f"checkpoints/step_{STEPS:07d}.safetensors").tensors for one in (folder, whole))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert lines(folder) == lines(whole)[6:]
    assert resolved(folder)["forked_from"] == {"folder": "run", "step": 6, "recipe": resolved(halfway)["recipe"]}


@pytest.mark.usefixtures("untouched")
def test_an_edited_recipe_goes_on_at_the_same_place_of_its_own_schedule(halfway):
    edited = ("train.batch_size=8", "train.epochs=4", "train.base_lr=0.3", "loss.temperature=0.5", "augmentations.0.size=10")
    folder, said = start(halfway, *edited, fork=True)
    per_epoch, steps = 60 // 8, 4 * (60 // 8)
    assert "goes on after step 14 of 28" in said
    found = lines(folder)
    assert [line["step"] for line in found] == list(range(2 * per_epoch + 1, steps + 1))
    settings = {"steps": steps, "warmup_steps": 7, "peak": 0.3 * 8 / 256}
    assert [line["lr"] for line in found] == pytest.approx([schedule.lr_at(line["step"] - 1, **settings) for line in found])
    assert found[0]["epoch"] == pytest.approx(2 + 1 / per_epoch)
    assert resolved(folder)["steps"] == steps
    assert (folder / "recipe.toml").read_text() == SHORT


def begun(halfway, *overrides, step=6):
    """The checkpoint with which a fork begins, if the run was saved after some step."""
    stored = checkpoint.load(halfway / SIX)
    (halfway / SIX).unlink()
    checkpoint.save(halfway / SIX, stored.tensors, {**stored.facts, "step": step})
    recipe = Recipe.parse(SHORT, name="small", overrides=overrides)
    report = Lines(Console(quiet=True))
    from sslkit.running import Run
    from sslkit.signals import StopRequest

    target = RunFolder(halfway.with_name("target"))
    work = Run(recipe, target, report=report, stop=StopRequest())
    work.take_up(None, source=RunFolder(halfway))
    (path,) = target.checkpoints.iterdir()
    return stored, checkpoint.load(path)


@pytest.mark.parametrize(("step", "begins"), [(3, 7), (7, 2 * 7 + 1 * 7 // 3), (8, 2 * 7 + 2 * 7 // 3), (1, 2)])
def test_within_an_epoch_the_place_is_rounded_down(halfway, step, begins):
    stored, found = begun(halfway, "train.batch_size=8", step=step)
    assert found.facts["step"] == begins
    assert found.path.name == f"step_{begins:07d}.safetensors"
    assert found.facts["recipe"]["train"]["batch_size"] == 8
    assert found.tensors.keys() == stored.tensors.keys()
    assert all(torch.equal(found.tensors[name], stored.tensors[name]) for name in stored.tensors)
    assert any(name.startswith("optimizer/") for name in found.tensors)


def test_another_optimizer_begins_without_what_the_old_one_kept(halfway):
    folder, said = start(halfway, "optimizer={name='adamw'}", "train.base_lr=0.001", fork=True)
    assert "optimizer: lars -> adamw; what it keeps for each weight begins anew." in said
    assert [line["step"] for line in lines(folder)] == [7, 8, 9]
    _, found = begun(halfway, "optimizer={name='sgd'}")
    assert all(name.startswith("method/") for name in found.tensors)


@pytest.mark.usefixtures("untouched")
def test_a_fork_that_is_stopped_goes_on_by_the_same_command(halfway):
    edited = ("train.epochs=4", "loss.temperature=0.5")
    folder, _ = start(halfway, *edited, fork=True)
    before, metrics = (folder / "encoder.safetensors").read_bytes(), lines(folder)
    for name in ("results.json", "encoder.safetensors", "checkpoints/step_0000012.safetensors"):
        (folder / name).unlink()
    again, said = start(halfway, *edited, fork=True)
    assert again == folder
    assert "goes on after step 9 of 12" in said
    assert "forked from" not in said
    assert (folder / "encoder.safetensors").read_bytes() == before
    assert lines(folder) == metrics
    assert resolved(folder)["forked_from"]["step"] == 6
    assert "this run is complete" in start(halfway, *edited, fork=True)[1]
    other, _ = start(halfway, "train.epochs=4", "loss.temperature=0.6", fork=True)
    assert other == halfway.with_name("run-3")


@pytest.mark.usefixtures("untouched")
def test_what_does_not_fit_is_refused(halfway):
    found = refused(halfway, "head.out_dim=4", fork=True)
    assert f"--fork: the weights of {halfway / SIX} don't fit the network of this recipe: " in found
    assert "weights and buffers have another shape, first 'head." in found
    assert "', (8, 64) there and (4, 64) here." in found
    assert "--fresh trains another" in found
    assert "weights and buffers are missing, first '" in refused(halfway, "train.online_probe=true", fork=True)
    assert "weights and buffers are not the network's, first '" in refused(halfway, "head={name='identity'}", fork=True)


@pytest.mark.usefixtures("untouched")
def test_a_fork_that_would_be_at_its_end_is_refused(halfway):
    assert "is after 2 epochs, and this recipe has 2; there is nothing left to train. Set train.epochs higher." in refused(
        halfway, "train.epochs=2", fork=True
    )


def test_without_a_run_there_is_nothing_to_fork(halfway):
    assert "run holds no run with a checkpoint to go on from" in refused(halfway / "run", fork=True)
    shutil.rmtree(halfway / "checkpoints")
    assert "holds no run with a checkpoint" in refused(halfway, fork=True)
    assert "give one of them" in refused(halfway, fork=True, fresh=True, error=UserError)


@pytest.mark.fault(
    "more epochs, or another parameter, for a run that is half done",
    injected="`train.epochs` and `loss.temperature` changed",
    expected="refused, with `--fork` named; keys that do not move weights are free",
    theme="process",
)
def test_an_edited_recipe_without_fork_is_refused_and_fork_is_named(halfway):
    found = refused(halfway, "loss.temperature=0.5", "train.epochs=4")
    assert "\n  loss.temperature: 0.2 -> 0.5\n  train.epochs: 3 -> 4\n" in found
    assert "Go on from its newest checkpoint with this recipe, beside it, with --fork;" in found
    _, said = start(halfway, "train.log_every=2", "data.workers=0", text=SHORT + KNN)  # these are free
    assert "goes on after step 6 of 9" in said


def test_a_damaged_checkpoint_of_the_run_stays_where_it_is(halfway):
    (halfway / "checkpoints/step_0000007.safetensors").write_bytes(b"torn")
    before = contents(halfway)
    _, said = start(halfway, "train.epochs=4", fork=True)
    assert "step_0000007.safetensors: is not a whole checkpoint of sslkit" in said
    assert f"{halfway / SIX} is used." in said
    assert contents(halfway) == before
    (halfway / SIX).write_bytes(b"torn too")
    found = refused(halfway, "train.epochs=5", fork=True, error=CheckpointError)
    assert found.count("is not a whole checkpoint") == 2
    assert "No checkpoint in" in found


def test_a_fork_whose_checkpoints_are_gone_does_not_begin_with_untrained_weights(halfway):
    folder, _ = start(halfway, "train.epochs=4", fork=True)
    (folder / "results.json").unlink()
    shutil.rmtree(folder / "checkpoints")
    found = refused(folder, "train.epochs=4", error=CheckpointError)
    assert f"{folder / 'checkpoints'}: is empty, and this run began with a checkpoint of 'run'." in found


def test_a_number_of_a_fork_says_so(halfway):
    folder, _ = start(halfway, "train.epochs=4", text=SHORT + KNN, fork=True)
    digest = Recipe.parse(SHORT, overrides=["train.epochs=4"]).digest()
    expected = f"{digest}, forked after step 6 of {resolved(halfway)['recipe']}"
    for result in json.loads((folder / "results.json").read_text())["results"]:
        assert result["protocol"]["recipe"] == expected
    assert checkpoint.load(folder / "encoder.safetensors").facts["recipe"] == expected
    assert FinishedRun.read(folder).recipe["resolved.forked_from.step"] == 6
    sslkit("eval", folder, "--set", "evaluate.0.k=5", cwd=folder)
    again = json.loads((folder / "results.json").read_text())["results"]
    assert {result["protocol"]["recipe"] for result in again} == {expected}
    assert forking.identity("abc", {}) == "abc"


def test_a_source_that_does_not_say_how_long_an_epoch_is(halfway):
    path = halfway / "resolved.toml"
    path.write_text(path.read_text().replace("steps_per_epoch = 3\n", ""))
    assert "resolved.toml: does not say how many steps an epoch has" in refused(halfway, "train.epochs=4", fork=True)


def test_a_folder_of_numbers_beside_that_is_no_fork_of_it_is_left_alone(halfway):
    shutil.copytree(halfway, halfway.with_name("run-2"))
    (halfway.with_name("run-3")).mkdir()
    before = contents(halfway.with_name("run-2"))
    assert start(halfway, fork=True)[0] == halfway.with_name("run-4")
    assert contents(halfway.with_name("run-2")) == before


def test_the_command(halfway, tmp_path):
    recipe = recipe_file(tmp_path, SHORT)
    done = sslkit("run", recipe, "-o", "run", "--fork", "--set", "train.epochs=4", cwd=tmp_path)
    assert "run folder: run-2" in done.stdout
    assert "--fork: goes on from a run" in sslkit("run", recipe, "-o", "run", "--fork", "--fresh", cwd=tmp_path, check=2).stderr
    assert "--fork don't go with it" in sslkit("run", recipe, "--fork", "--smoke", cwd=tmp_path, check=2).stderr
    assert {path.name for path in Path(tmp_path).iterdir()} == {"run", "run-2", "small.toml"}
