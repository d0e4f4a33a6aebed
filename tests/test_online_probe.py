"""The probe that learns beside the pretraining: it changes nothing, it learns, and it is resumed like all else."""

import io
import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from rich.console import Console
from small import STEPS, TEXT, newest_checkpoint, recipe_file, sslkit
from torch import nn
from torch.nn import functional as F

from sslkit import checkpoint
from sslkit.datasets.joined import Joined
from sslkit.datasets.shapes import Shapes
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.evaluations.features import Features
from sslkit.evaluations.linear_online import LinearOnline
from sslkit.folder import RunFolder
from sslkit.losses.nt_xent import NTXent
from sslkit.methods.siamese import Siamese
from sslkit.online_probe import OnlineProbe
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.running import Run
from sslkit.signals import StopRequest

ONLINE = TEXT.replace("log_every = 1", "log_every = 1\nonline_probe = true") + '\n[[evaluate]]\nname = "linear_online"\n'


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("online")
    for name, text in (("without", TEXT), ("with", ONLINE)):
        sslkit("run", recipe_file(folder, text), "-o", folder / name, cwd=folder)
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_encoder_and_loss_are_those_of_a_run_without_it_to_the_bit(runs):
    ours, theirs = (checkpoint.load(runs / name / "encoder.safetensors").tensors for name in ("with", "without"))
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    more = lines(runs / "with" / "metrics.jsonl")
    assert [
        {key: value for key, value in line.items() if not key.startswith("online")} for line in more
    ] == lines(runs / "without" / "metrics.jsonl")  # fmt: skip
    assert set(more[0]) >= {"online_loss", "online_top1"}


def test_it_gives_a_number_and_again_the_same(runs):
    results = json.loads((runs / "with" / "results.json").read_text())["results"]
    [record] = [one for one in results if one["name"] == "linear_online_top1"]
    assert record["protocol"]["evaluation"] == "linear_online"
    sslkit("eval", runs / "with", cwd=runs)
    assert json.loads((runs / "with" / "results.json").read_text())["results"] == results


def test_resumed_it_is_as_if_never_stopped(runs):
    killed = (
        "import os\n"
        "from sslkit.cli import main\n"
        "from sslkit.running import Run\n"
        "step_done = Run._on_step\n"
        "Run._on_step = lambda self, step, *more: os._exit(9) if step == 5 else step_done(self, step, *more)\n"
        "main()"
    )
    command = [sys.executable, "-c", killed, "run", str(recipe_file(runs, ONLINE)), "-o", str(runs / "killed")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, cwd=runs, capture_output=True, check=False, env=one_thread).returncode == 9
    sslkit("run", recipe_file(runs, ONLINE), "-o", runs / "killed", cwd=runs)
    ours, theirs = (checkpoint.load(newest_checkpoint(runs / name)) for name in ("killed", "with"))
    assert ours.facts["step"] == STEPS
    assert set(ours.tensors) == set(theirs.tensors)
    assert any(name.startswith("optimizer/classifier.weight") for name in ours.tensors)
    assert all(torch.equal(ours.tensors[name], tensor) for name, tensor in theirs.tensors.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + '\n[[evaluate]]\nname = "linear_online"\n', "evaluate.2 (linear_online): looks at the classifier"),
        (ONLINE + 'layer = "z"\n', "leave baselines and layer out"),
        (ONLINE + 'baselines = ["untrained"]\n', "leave baselines and layer out"),
    ],
)
def test_what_can_not_be(tmp_path, text, message):
    assert message in sslkit("run", recipe_file(tmp_path, text), cwd=tmp_path, check=2).stderr
    assert not (tmp_path / "runs").exists()


def test_a_run_that_was_trained_without_it_says_that_it_has_to_be_trained_anew(runs):
    done = sslkit("eval", runs / "without", "--set", 'evaluate=[{name="linear_online"}]', cwd=runs, check=2)
    assert (
        "set train.online_probe = true. A run that was trained without it has none, and has to be trained anew." in done.stderr
    )


ALONE = ONLINE[: ONLINE.index("[[evaluate]]")] + ONLINE[ONLINE.rindex("[[evaluate]]") :]


def changed(split, change):
    """The small recipe's images, one split of them changed."""

    def images(name):
        found = Shapes(name, num_images=60, size=12)
        if name == split:
            change(found)
        return found

    return images


def fewer(images):
    images.labels, images.classes = images.labels % 3, ("a", "b", "c")


def nameless(images):
    images.labels, images.classes = images.labels + 3, None


def several(images):
    images.labels = np.eye(10, dtype=np.int64)[images.labels]


def unknown(images):
    images.labels = images.labels - 1


@pytest.mark.parametrize(
    ("split", "change", "message"),
    [
        (
            "test",
            fewer,
            "evaluate.0 (linear_online): the classifier beside the pretraining learns 10 classes, those of 'train' (arrow, crescent, "
            "cross, disc, ell, ...), and the split 'test' has 3 (a, b, c). Evaluate it on splits with the same classes.",
        ),
        (
            "test",
            nameless,
            "learns 10 classes, those of 'train' (arrow, crescent, cross, disc, ell, ...), and the split 'test' has 13.",
        ),
        ("train", several, "train.online_probe needs one label an image, and not all images of the split 'train' have one."),
        ("train", unknown, "train.online_probe needs one label an image, and not all images of the split 'train' have one."),
        (
            "train",
            lambda images: setattr(images, "labels", None),
            "train.online_probe needs labels, and the split 'train' has none.",
        ),
    ],
)
def test_other_classes_than_it_learns_show_before_any_training(tmp_path, split, change, message):
    class Unlabelled(Shapes):
        def __len__(self):
            return 60

    def opened(name):
        found = changed(split, change)(name)
        if found.labels is None:
            found.__class__ = Unlabelled
        return found

    report = Lines(Console(file=io.StringIO()))
    with pytest.raises(DataError) as caught:
        Run(Recipe.parse(ALONE), RunFolder(tmp_path / "run"), report=report, stop=StopRequest(), open_images=opened)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("test", "shared"), [("test", "15 of the 15"), ("all", "75 of the 75")])
def test_what_it_learns_from_can_not_judge_it(tmp_path, test, shared):
    def images(name):
        return (
            Joined(*(Shapes(one, num_images=60, size=12) for one in ("train", "test")))
            if name == "all"
            else Shapes(name, num_images=60, size=12)
        )

    recipe = Recipe.parse(ALONE.replace("[data]", '[data]\nsplit = "all"') + f'train = "{test}"\ntest = "{test}"\n')
    report = Lines(Console(file=io.StringIO()))
    with pytest.raises(DataError, match=f"the pretraining on 'all' sees the labels of {shared} images of the split '{test}'"):
        Evaluator(recipe, images, folder=tmp_path, report=report, poll=lambda: None)


def test_classes_that_the_splits_lack_are_still_its_own():
    """Splits without names of classes may have fewer than it learnt; the confusion matrix has them all."""
    online = nn.Linear(4, 4)
    with torch.no_grad():
        online.weight.copy_(torch.eye(4))
        online.bias.zero_()
    h = np.eye(4, dtype=np.float32)[[0, 1, 3, 3]]
    test = Features(h, np.array([0, 1, 0, 1]), None, "test")
    found = dict(LinearOnline()(test, test, online))
    assert found["linear_online_top1"] == 0.5
    assert found["linear_online_confusion"].tolist() == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    with pytest.raises(DataError, match="linear_online: there is a label 4, and the classifier learnt 4 classes"):
        LinearOnline()(test, Features(h, np.array([0, 1, 4, 1]), None, "test"), online)


def method(num_views=2):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 6))
    backbone.out_dim = 6
    return OnlineProbe(Siamese(backbone, nn.Linear(6, 4), NTXent(temperature=0.5)), num_classes=3, num_views=num_views)


def test_the_gradient_is_the_cross_entropys_and_stops_at_h():
    probe, views, labels = method(), [torch.randn(8, 3, 2, 2) for _ in range(2)], torch.arange(8) % 3
    nn.init.normal_(probe.classifier.weight)
    loss, scalars = probe.objective(*probe.project(views), labels=labels)
    loss.backward()
    plain = probe.method.objective(*probe.method.project(views))[0]
    assert loss.item() == plain.item()
    own = torch.autograd.grad(plain, list(probe.method.parameters()))
    assert all(torch.equal(p.grad, g) for p, g in zip(probe.method.parameters(), own, strict=True))
    h = torch.cat([probe.backbone(view) for view in views]).detach()
    expected = F.cross_entropy(probe.classifier(h), labels.repeat(2))
    assert scalars["online_loss"].item() == pytest.approx(expected.item())
    gradient = torch.autograd.grad(expected, probe.classifier.weight)[0]
    torch.testing.assert_close(probe.classifier.weight.grad, gradient)


def test_it_learns():
    probe = method()
    optimizer = torch.optim.SGD(probe.classifier.parameters(), lr=0.5)
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(30) % 3
    centres = torch.eye(3)[labels][:, :, None, None] * 3
    noise = partial(torch.randn, 30, 3, 2, 2, generator=random)
    accuracies = []
    for _ in range(60):
        loss, scalars = probe.objective(*probe.project([centres + 0.3 * noise() for _ in range(2)]), labels=labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracies.append(scalars["online_top1"].item())
    assert accuracies[0] < 0.5
    assert accuracies[-1] > 0.95


def test_images_without_labels():
    probe, views = method(), [torch.randn(4, 3, 2, 2)] * 2
    with pytest.raises(DataError, match=r"train\.online_probe: needs labels"):
        probe.objective(*probe.project(views))
