"""The life of a run: whole, stopped, killed, resumed, refused; in processes as a user starts them."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from small import STEPS, TEXT, recipe_file, sslkit

import sslkit as package
from sslkit import checkpoint, toml


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    done = sslkit("run", recipe_file(folder), cwd=folder)
    return folder / "runs" / "small", done.stdout


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_run_folder(whole):
    folder, _ = whole
    assert {path.name for path in folder.iterdir()} == {
        "recipe.toml", "resolved.toml", "metrics.jsonl", "timing.jsonl", "results.json", "checkpoints", "encoder.safetensors",
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
    assert set(found) == {
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


@pytest.mark.parametrize(("after", "workers"), [(2, 0), (7, 2)])
def test_kill_9_and_resume_equals_never_stopped(whole, tmp_path, after, workers):
    folder, _ = whole
    command = [sys.executable, "-m", "sslkit", "run", str(recipe_file(tmp_path)), "--set", f"data.workers={workers}"]
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
    assert ("goes on after step" in done.stdout) == (after > 3)
    for name in ("encoder.safetensors", "metrics.jsonl", "checkpoints/last.safetensors"):
        assert (tmp_path / "runs" / "small" / name).read_bytes() == (folder / name).read_bytes(), name
    ours, theirs = (json.loads((one / "results.json").read_text()) for one in (tmp_path / "runs" / "small", folder))
    assert ours == theirs


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(whole, tmp_path, number):
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
    assert process.wait() == 130
    assert "The same command goes on from there." in process.stderr.read()
    for stream in (process.stdout, process.stderr):
        stream.close()
    last = checkpoint.load(tmp_path / "runs" / "small" / "checkpoints" / "last.safetensors")
    assert 4 <= last.facts["step"] <= 9
    sslkit("run", recipe_file(tmp_path), cwd=tmp_path)
    assert (tmp_path / "runs" / "small" / "encoder.safetensors").read_bytes() == (folder / "encoder.safetensors").read_bytes()


def test_a_folder_of_another_recipe_is_refused_and_left_alone(whole):
    folder, _ = whole
    before = (folder / "resolved.toml").read_bytes()
    done = sslkit("run", folder / "recipe.toml", "-o", folder, "--set", "loss.temperature=0.5", cwd=folder, check=2)
    assert "holds a run of another recipe:\n  loss.temperature: 0.2 -> 0.5\n" in done.stderr
    assert "--fresh" in done.stderr
    assert (folder / "resolved.toml").read_bytes() == before


def test_a_finished_run_says_so_and_fresh_starts_beside_it(whole):
    folder, _ = whole
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
    folder, _ = whole
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


def test_a_torn_checkpoint_falls_back_and_says_so(whole, tmp_path):
    folder, _ = whole
    import shutil

    torn = tmp_path / "torn"
    shutil.copytree(folder, torn)
    (torn / "results.json").unlink()
    last = torn / "checkpoints" / "last.safetensors"
    data = last.read_bytes()
    last.write_bytes(data[: len(data) // 2])
    done = sslkit("run", torn / "recipe.toml", "-o", torn, cwd=tmp_path, check=1)
    assert "is not a whole checkpoint" in done.stderr
    (torn / "checkpoints" / "epoch_0003.safetensors").write_bytes(data)
    assert "The one before it is used." in sslkit("run", torn / "recipe.toml", "-o", torn, cwd=tmp_path).stdout


def test_trackers_get_every_number(tmp_path):
    sslkit("run", recipe_file(tmp_path, TEXT + '[[track]]\nname = "csv"\n'), cwd=tmp_path)
    rows = (tmp_path / "runs" / "small" / "metrics.csv").read_text().splitlines()
    assert rows[0] == "step,name,value"
    assert sum(",loss," in row for row in rows) == STEPS
    assert sum(",knn_top1," in row for row in rows) == 3


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path):
    done = sslkit(
        "run", recipe_file(tmp_path), "--set", "train.base_lr=1e30", "--set", "optimizer.name=sgd", cwd=tmp_path, check=1
    )
    assert "nothing was updated with it" in done.stderr
    assert (tmp_path / "runs" / "small" / "metrics.jsonl").exists()


def test_the_numbers_do_not_depend_on_where_it_runs_from(whole):
    """Results and metrics hold no time, path or host, so that two machines' files can be compared."""
    folder, _ = whole
    for name in ("metrics.jsonl", "results.json"):
        assert str(folder.parent) not in (folder / name).read_text()
