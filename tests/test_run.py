"""The life of a run: whole, stopped, killed, resumed, refused; in processes as a user starts them."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from rich.console import Console
from small import STEPS, TEXT, newest_checkpoint, recipe_file, sslkit

import sslkit as package
from sslkit import checkpoint, toml
from sslkit.errors import Stopped
from sslkit.facts import facts
from sslkit.folder import RunFolder
from sslkit.progress import Bars, Lines, reporter
from sslkit.recipe import Recipe
from sslkit.run import run
from sslkit.running import Run
from sslkit.signals import StopRequest
from sslkit.trackers.csv import CSV


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    done = sslkit("run", recipe_file(folder), cwd=folder)
    return folder / "runs" / "small", done.stdout


LAST = f"checkpoints/step_{STEPS:07d}.safetensors"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_run_folder(whole):
    folder, _ = whole
    assert {path.name for path in folder.iterdir()} == {
        "recipe.toml", "resolved.toml", "metrics.jsonl", "timing.jsonl", "results.json", "checkpoints", "encoder.safetensors",
        "evaluations", "features",
    }  # fmt: skip
    assert (folder / "recipe.toml").read_text() == TEXT
    metrics = lines(folder / "metrics.jsonl")
    assert [line["step"] for line in metrics] == list(range(1, STEPS + 1))
    assert set(metrics[0]) == {"step", "epoch", "loss", "lr", "contrast_accuracy", "contrast_entropy"}
    assert metrics[0]["lr"] == 0  # the first step of a warm-up
    assert set(lines(folder / "timing.jsonl")[0]) == {"step", "images_per_second", "loader_share", "peak_memory_mib"}


def test_each_number_has_its_protocol(whole):
    folder, output = whole
    content = json.loads((folder / "results.json").read_text())
    assert content["finished"]
    found = {(one["encoder"], one["name"], one["epoch"]): one for one in content["results"]}
    assert {key for key in found if key[1].endswith("top1")} == {
        ("trained", "knn_top1", 1), ("trained", "knn_top1", 2), ("trained", "knn_top1", 3),
        ("trained", "linear_cached_top1", 3),
        ("pixels", "knn_top1", 0), ("untrained", "knn_top1", 0),
    }  # fmt: skip
    protocol = found["trained", "knn_top1", 3]["protocol"]
    resolved, _ = toml.parse((folder / "resolved.toml").read_text())
    expected = {
        "evaluation": "knn",
        "k": 3,
        "temperature": 0.07,
        "train": "train",
        "test": "test",
        "train_images": 60,
        "test_images": 15,
        "seed": 0,
    }
    assert expected.items() <= protocol.items()
    assert protocol["recipe"] == resolved["resolved"]["recipe"]
    assert "raw pixels" in output
    assert "untrained" in output
    assert "k 3" in output


def test_the_resolved_recipe_runs_to_the_same_weights(whole, tmp_path):
    folder, _ = whole
    sslkit("run", folder / "resolved.toml", "-o", tmp_path / "again", cwd=tmp_path)
    assert (tmp_path / "again" / "encoder.safetensors").read_bytes() == (folder / "encoder.safetensors").read_bytes()
    assert (tmp_path / "again" / "metrics.jsonl").read_bytes() == (folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("after", "workers"), [(2, 0), (7, 2), (STEPS, 0)]
)  # in the first epoch, in the last, in the evaluation
@pytest.mark.fault(
    "`kill -9` of the command",
    injected="SIGKILL from outside while it trains",
    expected="the same command ends with the same bits",
    theme="process",
)
def test_kill_9_and_resume_equals_never_stopped(whole, tmp_path, after, workers):
    folder, _ = whole
    command = [sys.executable, "-m", "sslkit", "run", str(recipe_file(tmp_path))]
    command += ["--set", f"data.workers={workers}"] if workers else []
    process = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "runs" / "small" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and len(metrics.read_text().splitlines()) >= after):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it ended before it was killed"
    done = sslkit("run", recipe_file(tmp_path), cwd=tmp_path)
    assert "goes on after step" in done.stdout or after < 7
    for name in ("encoder.safetensors", "metrics.jsonl", LAST):
        assert (tmp_path / "runs" / "small" / name).read_bytes() == (folder / name).read_bytes(), name
    ours, theirs = (json.loads((one / "results.json").read_text()) for one in (tmp_path / "runs" / "small", folder))
    assert ours == theirs


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGUSR1, 75)])
@pytest.mark.fault(
    "SIGINT or SIGUSR1 while a run trains",
    injected="the signal is sent to the command",
    expected="the step is finished and saved, exit status 130 or 75",
    theme="process",
)
def test_a_signal_finishes_the_step_and_saves(whole, tmp_path, number, status):
    folder, _ = whole
    command = [sys.executable, "-m", "sslkit", "run", str(recipe_file(tmp_path))]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("step 4/"):
            process.send_signal(number)
    assert process.wait() == status
    assert "The same command goes on from there." in process.stderr.read()
    for stream in (process.stdout, process.stderr):
        stream.close()
    last = checkpoint.load(newest_checkpoint(tmp_path / "runs" / "small"))
    assert 4 <= last.facts["step"] <= 9
    sslkit("run", recipe_file(tmp_path), cwd=tmp_path)
    assert (tmp_path / "runs" / "small" / "encoder.safetensors").read_bytes() == (folder / "encoder.safetensors").read_bytes()


@pytest.mark.fault(
    "the recipe was edited between two starts",
    injected="another temperature with the same folder",
    expected="refused with the changed keys, old and new; the folder is untouched",
    theme="process",
)
def test_a_folder_of_another_recipe_is_refused_and_left_alone(whole):
    folder, _ = whole
    before = (folder / "resolved.toml").read_bytes()
    done = sslkit("run", folder / "recipe.toml", "-o", folder, "--set", "loss.temperature=0.5", cwd=folder, check=2)
    assert "holds a run of another recipe:\n  loss.temperature: 0.2 -> 0.5\n" in done.stderr
    assert "--fresh" in done.stderr
    assert (folder / "resolved.toml").read_bytes() == before


@pytest.mark.fault(
    "a finished run is started again",
    injected="the same command twice",
    expected="it says that the run is complete, and exits with 0",
    theme="process",
)
def test_a_finished_run_says_so_and_fresh_starts_beside_it(whole, tmp_path):
    folder = tmp_path / "small"
    shutil.copytree(whole[0], folder)
    done = sslkit("run", folder / "recipe.toml", "-o", folder, cwd=folder)
    assert "this run is complete" in done.stdout
    sslkit("run", folder / "recipe.toml", "-o", folder, "--fresh", "--set", "train.epochs=2", cwd=folder)
    assert (folder.parent / "small-2" / "encoder.safetensors").exists()


def test_a_folder_that_is_no_run_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = sslkit("run", recipe_file(tmp_path), "-o", "mine", cwd=tmp_path, check=2)
    assert "is not empty and no run of sslkit" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_load_encoder_gives_the_module_and_its_transform(whole):
    folder, _ = whole
    encoder, transform = package.load_encoder(folder)
    images = [np.random.default_rng(i).integers(0, 256, (20 + i, 17, 3), dtype=np.uint8) for i in range(3)]
    with torch.no_grad():
        h = encoder(transform(images))
        assert h.shape == (3, encoder.out_dim)
        assert torch.allclose(encoder(transform(images[1])), h[1:2], atol=1e-5)
    with pytest.raises(package.UserError, match="must be uint8 of shape"):
        transform(images[0] / 255)


def test_eval_gives_the_run_s_own_numbers_again(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    before = json.loads((folder / "results.json").read_text())["results"]
    done = sslkit("eval", folder, "--set", "evaluate.0.k=5", cwd=tmp_path)
    assert "k 5" in done.stdout
    after = json.loads((folder / "results.json").read_text())["results"]
    again = [one for one in after if one["name"] == "linear_cached_top1"]
    assert again == [one for one in before if one["name"] == "linear_cached_top1"]
    assert (
        "evaluation can't change what was trained"
        in sslkit("eval", folder, "--set", "train.seed=3", cwd=tmp_path, check=2).stderr
    )


@pytest.mark.fault(
    "the newest checkpoint of a run is torn",
    injected="a file cut or overwritten, then the same command",
    expected="the run goes on from the one before it",
    theme="process",
)
def test_a_torn_checkpoint_is_moved_aside_and_the_one_before_it_used(whole, tmp_path):
    torn = tmp_path / "torn"
    shutil.copytree(whole[0], torn)
    (torn / "results.json").unlink()
    data = (torn / LAST).read_bytes()
    (torn / LAST).write_bytes(data[: len(data) // 2])
    (torn / "checkpoints" / ".step_0000005.safetensors.tmp").write_bytes(b"half")
    done = sslkit("run", torn / "recipe.toml", "-o", torn, cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert "step_0000009.safetensors: is not a whole checkpoint of sslkit" in said
    assert f"It was moved to {torn}/checkpoints/damaged/step_0000009.safetensors, and {torn}/checkpoints/step_0000006" in said
    assert "goes on after step 6 of 9" in said
    assert (torn / "checkpoints" / "damaged" / "step_0000009.safetensors").read_bytes() == data[: len(data) // 2]
    assert (torn / LAST).read_bytes() == data
    assert sorted(path.name for path in (torn / "checkpoints").iterdir()) == [
        "damaged", "step_0000006.safetensors", "step_0000009.safetensors",
    ]  # fmt: skip


@pytest.mark.fault(
    "no checkpoint of a run is whole",
    injected="all of them overwritten, then the same command",
    expected="an error; training never begins anew by itself",
    theme="process",
)
def test_where_no_checkpoint_is_whole_nothing_is_begun_anew(whole, tmp_path):
    torn = tmp_path / "torn"
    shutil.copytree(whole[0], torn)
    (torn / "results.json").unlink()
    names = ("step_0000006.safetensors", "step_0000009.safetensors")
    for name in names:
        (torn / "checkpoints" / name).write_bytes(b"torn")
    before = (torn / "metrics.jsonl").read_bytes()
    for _ in range(2):
        done = sslkit("run", torn / "recipe.toml", "-o", torn, cwd=tmp_path, check=5)
        assert all(f"{name}: is not a whole checkpoint" in done.stderr for name in names)
        assert "No checkpoint in" in done.stderr
    assert {path.name for path in (torn / "checkpoints").iterdir()} == set(names)
    assert (torn / "metrics.jsonl").read_bytes() == before


@pytest.mark.fault(
    "a run folder of an older release",
    injected="the folder in its old form",
    expected="it goes on and is evaluated",
    theme="process",
)
def test_a_folder_of_the_first_release_goes_on_and_is_evaluated(whole, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(whole[0], old)
    (old / LAST).rename(old / "checkpoints" / "last.safetensors")
    (old / "checkpoints" / "step_0000006.safetensors").rename(old / "checkpoints" / "epoch_0002.safetensors")
    sslkit("eval", old, cwd=tmp_path)
    for name in ("results.json", "encoder.safetensors"):
        (old / name).unlink()
    assert "goes on after step 9 of 9" in sslkit("run", old / "recipe.toml", "-o", old, cwd=tmp_path).stdout
    assert (old / "encoder.safetensors").read_bytes() == (whole[0] / "encoder.safetensors").read_bytes()


def test_checkpoints_that_the_recipe_keeps_stay(tmp_path):
    sslkit("run", recipe_file(tmp_path), "--set", "train.keep_every_epochs=2", "--set", "train.epochs=5", cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "runs" / "small" / "checkpoints").iterdir()) == [
        "epoch_0002.safetensors", "epoch_0004.safetensors", "step_0000009.safetensors", "step_0000015.safetensors",
    ]  # fmt: skip


def test_trackers_get_every_number(tmp_path):
    sslkit("run", recipe_file(tmp_path, TEXT + '[[track]]\nname = "csv"\n'), cwd=tmp_path)
    rows = (tmp_path / "runs" / "small" / "metrics.csv").read_text().splitlines()
    assert rows[0] == "step,name,value"
    assert sum(",loss," in row for row in rows) == STEPS
    assert sum(",knn_top1," in row for row in rows) == 3


def test_evaluations_of_one_name_with_other_labels_are_told_apart(tmp_path):
    few = '[[evaluate]]\nname = "knn"\nk = 3\nlabels_per_class = 2\n[[track]]\nname = "csv"\n'
    done = sslkit("run", recipe_file(tmp_path, TEXT + few), "--set", "train.epochs=2", cwd=tmp_path)
    assert "epoch 2: knn_top1 = " in done.stdout
    assert "epoch 2: knn_top1_2_labels = " in done.stdout
    assert "knn_top1_2_labels" in (tmp_path / "runs" / "small" / "metrics.csv").read_text()


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path):
    done = sslkit(
        "run", recipe_file(tmp_path), "--set", "train.base_lr=1e30", "--set", "optimizer.name=sgd", cwd=tmp_path, check=6
    )
    assert "nothing was updated with it" in done.stderr
    assert (tmp_path / "runs" / "small" / "metrics.jsonl").exists()


def test_the_numbers_do_not_depend_on_where_it_runs_from(whole):
    """Results and metrics hold no time, path or host, so that two machines' files can be compared."""
    folder, _ = whole
    for name in ("metrics.jsonl", "results.json"):
        assert str(folder.parent) not in (folder / name).read_text()


def in_process(folder, *, stop=None, overrides=()):
    """A run in this process, for what can't be timed from outside."""
    recipe = Recipe.parse(TEXT, name="small", overrides=overrides)
    work = Run(recipe, RunFolder(folder), report=Lines(Console(quiet=True)), stop=StopRequest() if stop is None else stop)
    work.folder.create(recipe=TEXT, resolved=work.resolved())
    return work


@pytest.fixture
def one_thread():
    """As many threads as the other runs have: the same bits are promised for the same number only."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_stop_during_an_evaluation_loses_nothing(whole, tmp_path, monkeypatch):
    stop = StopRequest()
    work = in_process(tmp_path / "run", stop=stop, overrides=["train.checkpoint_every_epochs=3"])
    monkeypatch.setattr(work.evaluator, "trained", lambda *_, **__: setattr(stop, "asked", True) or stop.poll())
    with pytest.raises(Stopped):
        work.complete()
    assert checkpoint.load(newest_checkpoint(tmp_path / "run")).facts["step"] == 3
    sslkit("run", recipe_file(tmp_path), "-o", tmp_path / "run", cwd=tmp_path)
    assert (tmp_path / "run" / "encoder.safetensors").read_bytes() == (whole[0] / "encoder.safetensors").read_bytes()
    results = [json.loads((folder / "results.json").read_text()) for folder in (tmp_path / "run", whole[0])]
    assert results[0] == results[1]


def test_a_stop_in_the_last_moment_of_a_step_is_saved(tmp_path):
    """The flag is read once a step: what is asked after that is heard before the next batch, and saved there."""
    stop = StopRequest()
    work = in_process(tmp_path / "run", stop=stop)
    log = work.journal.log

    def ask_while_logging(step, numbers, **timing):
        log(step, numbers, **timing)
        stop.asked = step == 4

    work.journal.log = ask_while_logging
    with pytest.raises(Stopped):
        work.complete()
    assert checkpoint.load(newest_checkpoint(tmp_path / "run")).facts["step"] == 4


def test_a_kill_while_the_folder_was_made_does_not_lock_it(tmp_path):
    (tmp_path / "runs" / "small").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "recipe.toml").write_text("half")
    (tmp_path / "runs" / "small" / ".resolved.toml.tmp").write_text("half")
    sslkit("run", recipe_file(tmp_path), "--set", "train.epochs=2", cwd=tmp_path)
    assert (tmp_path / "runs" / "small" / "encoder.safetensors").exists()
    assert (tmp_path / "runs" / "small" / "recipe.toml").read_text() == TEXT


def test_an_evaluation_again_takes_no_older_head(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    before = (folder / "results.json").read_bytes()
    (folder / LAST).write_bytes(b"torn")
    assert f"{LAST}: is not a whole checkpoint" in sslkit("eval", folder, cwd=tmp_path, check=5).stderr
    (folder / LAST).unlink()
    assert "the newest, step_0000006.safetensors, is of step 6" in sslkit("eval", folder, cwd=tmp_path, check=5).stderr
    (folder / "checkpoints" / "step_0000006.safetensors").unlink()
    assert (
        "the checkpoint after the last step, 9, is missing; there is none"
        in sslkit("eval", folder, cwd=tmp_path, check=5).stderr
    )
    assert (folder / "results.json").read_bytes() == before


def test_other_images_than_it_began_with_are_refused(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    (folder / "results.json").unlink()
    text = (folder / "resolved.toml").read_text()
    (folder / "resolved.toml").write_text(text.replace("\nnum_images = 60\nsteps_per", "\nnum_images = 59\nsteps_per"))
    done = sslkit("run", folder / "recipe.toml", "-o", folder, cwd=tmp_path, check=2)
    assert "this run began with 59 images, and there are 60 now" in done.stderr


def test_a_finished_run_with_other_evaluations_gets_their_numbers(whole, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    before = (folder / LAST).read_bytes()
    done = sslkit("run", folder / "recipe.toml", "-o", folder, "--set", "evaluate.0.k=7", cwd=tmp_path)
    assert "its evaluations have changed" in done.stdout
    assert "k 7" in done.stdout
    assert "k = 7" in (folder / "resolved.toml").read_text()
    assert (folder / LAST).read_bytes() == before
    kept = [
        one["protocol"]["k"]
        for one in json.loads((folder / "results.json").read_text())["results"]
        if one["name"] == "knn_top1"
    ]
    assert set(kept) == {3, 7}  # the numbers from before are still there


@pytest.mark.fault(
    "the log has steps that are computed again",
    injected="the table is opened again at an earlier step",
    expected="each step once",
    theme="process",
)
def test_a_tracker_s_table_after_a_resume_has_no_gap_and_no_double(tmp_path):
    first = CSV(tmp_path, 0)
    for step in (1, 2, 3):
        first(step, {"loss": float(step)})
    first.close()
    again = CSV(tmp_path, 2)
    again(2, {"knn_top1": 0.5})
    again(3, {"loss": 3.0})
    again.close()
    assert (tmp_path / "metrics.csv").read_text().split() == [
        "step,name,value",
        "1,loss,1.0",
        "2,loss,2.0",
        "2,knn_top1,0.5",
        "3,loss,3.0",
    ]


def test_a_warm_up_longer_than_the_run_is_refused():
    recipe = Recipe.parse(TEXT, overrides=["train.epochs=4", "train.warmup_epochs=3.9"])
    with pytest.raises(package.UserError, match="the peak would never be reached"):
        facts(recipe, 31)


@pytest.mark.fault(
    "a full disk while the log is written",
    injected="a write that fails",
    expected="one message",
    theme="resources",
)
def test_a_full_disk_while_logging_is_one_message(tmp_path, monkeypatch):
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *flags: real("/dev/full", os.O_WRONLY) if path == place else real(path, *flags)
    )
    place = tmp_path / "metrics.jsonl"
    with pytest.raises(package.SslkitError, match="metrics.jsonl: can't be written: No space left on device"):
        RunFolder(tmp_path).append("metrics.jsonl", {"step": 1})


@pytest.mark.parametrize(
    "change", [{"channels": None}, {"view": [{"name": "center_crop"}]}, {"backbone": {"name": "resnet", "new": 1}}]
)
@pytest.mark.fault(
    "an encoder that this version can't build",
    injected="a file changed to be so",
    expected="one message",
    theme="files",
)
def test_an_encoder_of_another_version_is_one_message(whole, tmp_path, change):
    stored = checkpoint.load(whole[0] / "encoder.safetensors")
    facts = {**stored.facts, **change}
    checkpoint.save(
        tmp_path / "encoder.safetensors", stored.tensors, {key: value for key, value in facts.items() if value is not None}
    )
    with pytest.raises(package.SslkitError, match="written by another version"):
        package.load_encoder(tmp_path)


def test_bars_on_a_terminal():
    console = Console(force_terminal=True, width=120, record=True, file=io.StringIO())
    report = reporter(console)
    assert isinstance(report, Bars)
    report.training(start=0, steps=4)
    report.step(2, {"epoch": 1, "epochs": 2, "loss": 3.25, "contrast_accuracy": 0.5, "images_per_second": 123.4}, logged=True)
    with report.work("features of test", 10) as advance:
        advance(10)
    report.trained()
    with report.work("evaluation", None), report.work("features of val", 3) as advance:  # one inside of the other
        advance(3)
    with report.work("features of train", 10) as advance:
        advance(10)
    text = console.export_text()
    for part in ("epoch 1/2", "loss 3.250", "contrastive accuracy 0.500", "123 img/s"):
        assert part in text


def test_a_step_of_micro_batches_shows_its_parts(tmp_path):
    class Parts(Lines):
        def __init__(self):
            super().__init__(Console(file=io.StringIO()))
            self.seen = []

        def part(self, fraction):
            self.seen.append(fraction)

    report = Parts()
    recipe = Recipe.load(recipe_file(tmp_path), overrides=["train.micro_batch=8", "train.epochs=1", "train.warmup_epochs=0"])
    run(recipe, tmp_path / "run", report=report)
    assert report.seen == [0.25, 0.5, 0.75, 1.0] * facts(recipe, 48).steps


def test_a_bar_moves_within_a_step():
    report = Bars(Console(force_terminal=True, file=io.StringIO()))
    report.training(start=3, steps=5)
    report.part(0.5)
    assert report._progress.tasks[0].completed == 3.5
    report.step(4, {"epoch": 1, "loss": 1.0}, logged=False)
    assert report._progress.tasks[0].completed == 4
    report.trained()
