"""Replay: a step of a run once more, to the same bits, and where in it a number is not finite."""

import hashlib
import io
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import failing
import numpy as np
import pytest
import torch
from rich.console import Console
from small import STEPS, TEXT, recipe_file, sslkit
from torch import nn

from sslkit import build
from sslkit.datasets.inventory import Inventory
from sslkit.errors import CheckpointError, NonFiniteError, UserError
from sslkit.observed import Observed
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.replay import _images, replay
from sslkit.replayed import shown
from sslkit.run import run

QUIET = Lines(Console(quiet=True))


@pytest.fixture(autouse=True)
def components():
    failing.register()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    failing.forget()


def trained(folder, *overrides):
    run(Recipe.parse(TEXT, name="small", overrides=["evaluate=[]", *overrides]), folder, report=QUIET)
    return folder


def state(folder):
    """All files with their content and time."""
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def logged(folder, step):
    (line,) = [one for one in map(json.loads, (folder / "metrics.jsonl").read_text().splitlines()) if one["step"] == step]
    return {key: value for key, value in line.items() if key != "step"}


def text(found, **options):
    console = Console(file=io.StringIO(), width=200)
    for piece in shown(found, **options):
        console.print(piece, highlight=False)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    torch.set_num_threads(1)
    return trained(tmp_path_factory.mktemp("healthy") / "run")


@pytest.mark.parametrize(("step", "start"), [(7, 6), (8, 6), (9, 6), (2, 0)])
def test_a_step_of_a_healthy_run_is_the_same_to_the_bit(healthy, step, start):
    before = state(healthy)
    found = replay(healthy, step=step, report=QUIET)
    assert found.start == start
    assert found.numbers == found.logged == logged(healthy, step)
    assert (found.found, found.first, found.noted) == ("", "", "")
    assert state(healthy) == before
    assert "Equal to the bit to what the run logged." in text(found)
    assert f"step {step} of 9: every number is finite." in text(found)


@pytest.mark.parametrize("overrides", [("train.micro_batch=6", "train.online_probe=true"), ("data.workers=2", "data.limit=50")])
def test_in_micro_batches_beside_a_classifier_and_with_workers(tmp_path, overrides):
    folder = trained(tmp_path / "run", *overrides)
    found = replay(folder, step=8, report=QUIET)
    assert found.numbers == found.logged == logged(folder, 8)
    assert len(found.images) == 16
    assert len({one.number for one in found.images}) == 16
    assert all(one.finite and one.slope > 0 for one in found.images)


def test_what_is_seen_is_what_is_there(healthy):
    found = replay(healthy, report=QUIET)
    assert (found.step, found.steps) == (9, 9)  # the newest checkpoint is after the last step
    names = [one.name for one in found.layers]
    assert names[:2] == ["view 1", "view 2"]
    assert names[-1] == "loss"
    assert all(0 <= one.low <= one.high <= 1 for one in found.layers[:2])
    (loss,) = [one for one in found.layers if one.name == "loss"]
    assert loss.low == loss.high == pytest.approx(found.numbers["loss"])
    assert found.layers[0].shape == (16, 3, 12, 12)
    norms = [one.norm for one in found.gradients]
    assert norms == sorted(norms, reverse=True)
    assert all(one.finite for one in found.gradients)
    assert found.z.std > 0.3
    assert 1 < found.z.rank <= 8
    assert found.weights > 0
    assert f"and {len(found.gradients) - 8} more; --all shows them" in text(found)
    assert "more" not in text(found, everything=True)


@pytest.mark.parametrize("sliced", [(), ("train.micro_batch=6",)])
@pytest.mark.parametrize("what", ["value", "gradient"])
@pytest.mark.fault(
    "the cause of such a stop is unknown afterwards",
    injected="a run that stopped so",
    expected="the step is computed again, and the place found",
    theme="numbers",
)
def test_a_number_that_is_not_finite_appears_again(tmp_path, what, sliced):
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", f'loss={{name="breaking", what="{what}"}}', *sliced)
    before = state(tmp_path / "run")
    found = replay(tmp_path / "run", report=QUIET)
    assert state(tmp_path / "run") == before
    assert (found.step, found.start, found.logged) == (failing.AT, 3, None)
    assert found.found == found.noted != ""
    assert found.first == ("loss" if what == "value" else "")
    assert all(one.finite for one in found.images)
    assert not math.isfinite(found.images[3].slope)
    assert not found.gradients[0].finite
    said = text(found)
    assert f"step 5 of 9: a number is not finite again: {found.found}." in said
    assert "look at the loss" in said
    assert "has no line of this step" in said
    assert ("<- the first" in said) == (what == "value")


def test_a_layer_and_its_images(tmp_path, monkeypatch):
    """A head whose output is infinite for two images: of a batch of 16, in two views, rows 2 and 5 of the first view."""
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", 'loss={name="breaking"}')
    monkeypatch.setattr(failing, "_IMAGES", [])  # the loss is well now, and the first layer of the head is not

    def spoil(_module, _inputs, output):
        output = output.clone()
        output[[2, 5]] = math.inf
        return output

    method = build.method

    def spoilt(*arguments, **options):
        built = method(*arguments, **options)
        built.head.register_forward_hook(spoil)
        return built

    monkeypatch.setattr(build, "method", spoilt)
    with pytest.raises(NonFiniteError, match="at step 4 already, before step 5. --step 4 shows where"):
        replay(tmp_path / "run", report=QUIET)
    found = replay(tmp_path / "run", step=4, report=QUIET)
    assert found.first == "head"
    assert [place for place, one in enumerate(found.images) if not one.finite] == [2, 5]
    said = text(found)
    assert f"2 images: {found.images[2].number}, {found.images[5].number}" in said
    assert "and" not in said.split("what the layers gave")[1].split("gradients, the worst")[0]  # the head is near the end
    assert "16 of 256" in said  # values of the head: 2 rows of 8 among 32 rows


def test_a_number_that_does_not_appear_again(tmp_path, monkeypatch):
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", 'loss={name="breaking"}')
    monkeypatch.setattr(failing, "_IMAGES", [])
    found = replay(tmp_path / "run", report=QUIET)
    assert (found.found, found.noted.split(",")[0]) == ("", "the loss is inf")
    assert "It does not appear again" in text(found)
    assert replay(tmp_path / "run", step=4, report=QUIET).noted == ""  # of another step


def test_a_weight_that_the_update_made_infinite(tmp_path):
    overrides = ["data.num_images=16", "train.warmup_epochs=0", "train.base_lr=3e38", "train.lr_scaling=none"]
    with pytest.raises(NonFiniteError):
        trained(tmp_path / "run", *overrides, "loss.temperature=1e-3", 'optimizer={name="sgd"}')
    found = replay(tmp_path / "run", report=QUIET)
    assert (found.step, found.start) == (1, 0)
    assert found.found.endswith("after the update")
    assert "a number is not finite again: backbone." in text(found)


def test_other_numbers_than_the_log_are_said(healthy, tmp_path):
    folder = shutil.copytree(healthy, tmp_path / "run")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    (folder / "metrics.jsonl").write_text("\n".join([*lines[:7], lines[7].replace('"loss": ', '"loss": 1'), "{cut"]))
    found = replay(folder, step=8, report=QUIET)
    assert found.numbers != found.logged
    assert "Not equal to what the run logged" in text(found)
    assert replay(folder, step=9, report=QUIET).logged is None


def test_a_damaged_checkpoint_is_passed_over_and_stays(healthy, tmp_path):
    folder = shutil.copytree(healthy, tmp_path / "run")
    (folder / "checkpoints" / "step_0000006.safetensors").write_bytes(b"torn")
    before = state(folder)
    found = replay(folder, step=8, report=QUIET)
    assert (found.start, found.numbers) == (0, logged(folder, 8))
    assert state(folder) == before
    resolved = (folder / "resolved.toml").read_text()
    (folder / "resolved.toml").write_text(resolved + '\n[resolved.forked_from]\nfolder = "other"\nstep = 2\n')
    with pytest.raises(CheckpointError, match="no whole checkpoint before step 8, and this run began with another one's"):
        replay(folder, step=8, report=QUIET)


def test_what_is_refused(healthy, tmp_path):
    for step in (0, STEPS + 1):
        with pytest.raises(UserError, match=f"--step: must be from 1 to 9, the last step of this run, is {step}"):
            replay(healthy, step=step, report=QUIET)
    with pytest.raises(UserError, match="is no run folder"):
        replay(tmp_path, report=QUIET)
    folder = shutil.copytree(healthy, tmp_path / "run")
    for content in ("{", "[]", '{"step": "5", "what": ""}', '{"step": 5}'):
        (folder / "stopped.json").write_text(content)
        with pytest.raises(UserError, match=r"stopped\.json: can't be read: .* name a step with --step"):
            replay(folder, report=QUIET)
    (folder / "stopped.json").unlink()
    text = (folder / "resolved.toml").read_text()
    (folder / "resolved.toml").write_text(text.replace("\nnum_images = 60\nsteps_per", "\nnum_images = 59\nsteps_per"))
    with pytest.raises(UserError, match="began with 59 images, and there are 60 now"):
        replay(folder, step=8, report=QUIET)


def test_the_command(healthy, tmp_path):
    done = sslkit("replay", healthy, "--step", "8", cwd=tmp_path)
    assert "Equal to the bit to what the run logged." in done.stdout
    assert "--step: must be from 1 to 9" in sslkit("replay", healthy, "--step", "10", cwd=tmp_path, check=2).stderr
    done = sslkit(
        "run", recipe_file(tmp_path), "--set", "train.base_lr=1e30", "--set", "optimizer.name=sgd", cwd=tmp_path, check=6
    )
    assert "`sslkit replay runs/small` repeats the step" in done.stderr
    done = sslkit("replay", "runs/small", cwd=tmp_path)
    assert "a number is not finite again: the loss is nan" in done.stdout
    assert "<- the first" in done.stdout
    assert "more; --all shows them" in done.stdout.split("gradients, the worst")[0]


def test_images_that_are_files_are_named():
    files = SimpleNamespace(
        inventory=Inventory(Path("cats"), np.array([b"%d.jpg" % i for i in range(10)]), np.ones(10, np.int64))
    )
    method = nn.Module()
    method.objective = None
    method.project = lambda views: (views[0].flatten(1) * torch.ones(1, requires_grad=True),)
    seen = Observed(method)
    (output,) = seen.project([torch.tensor([[[[3.0]]], [[[math.nan]]]])])
    (output * torch.tensor([[2.0], [1.0]])).sum().backward()
    first, second = _images(files, [7, 9], seen)
    assert (first.number, first.place, first.slope, first.finite) == (7, "cats/7.jpg", 2.0, True)
    assert (second.number, second.place, second.slope, second.finite) == (9, "cats/9.jpg", 1.0, False)


class Sum(nn.Module):
    """Two branches, each finite, whose sum overflows in half precision."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.one(x) + self.other(x)


def test_a_sum_that_overflows_is_named_though_it_is_no_leaf():
    method = nn.Module()
    method.objective = None
    method.backbone = nn.Sequential(Sum(), nn.ReLU())
    method.project = lambda views: (method.backbone(views[0]),)
    with Observed(method).noted() as seen:
        seen.project([torch.full((2, 3), 6e4, dtype=torch.float16)])
    assert seen.first == "backbone.0"
    assert list(seen.layers) == ["view 1", "backbone.0.one", "backbone.0.other", "backbone.0", "backbone.1"]
    assert seen.layers["backbone.0"].num_wrong == seen.layers["backbone.0"].num_values == 6
    assert math.isnan(seen.layers["backbone.0"].low)
    assert not any(one._forward_hooks for one in method.modules())
