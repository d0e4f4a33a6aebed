"""Images of several classes: what SGD minimises and what is counted, by every evaluation that learns a classifier so."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console
from small import TEXT, FakeImages, convolutional
from torch import nn

from sslkit.datasets.shapes import Shapes
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.evaluations.average_precision import average_precision
from sslkit.evaluations.features import Features
from sslkit.evaluations.finetune import FineTune
from sslkit.evaluations.finetune_grid import FineTuneGrid
from sslkit.evaluations.knn import KNN
from sslkit.evaluations.linear import LinearProbe
from sslkit.evaluations.linear_cached import LinearProbeCached
from sslkit.evaluations.targets import OneClassEach, SeveralClasses, of_features, of_images
from sslkit.progress import Lines
from sslkit.recipe import Recipe


def shown(labels):
    """Of its class, and perhaps of the next one; one in ten can't be told."""
    rng = np.random.default_rng(len(labels))
    found = np.eye(3, dtype=np.int64)[labels]
    found |= np.roll(found, 1, axis=1) * (rng.random((len(labels), 1)) < 0.4)
    found[rng.random(found.shape) < 0.1] = -1
    return found


class SeveralImages(FakeImages):
    """The coloured images, each perhaps of two classes; the colours add up."""

    def __init__(self, n=60, m=30):
        super().__init__(n, m)
        self.train_labels, self.test_labels = shown(self.train_labels), shown(self.test_labels)
        for images, labels in ((self.train, self.train_labels), (self.test, self.test_labels)):
            images += 0.5 * np.maximum(labels, 0)[:, :, None, None].astype(np.float32)


def both(seed=0, n=80, m=40):
    """Features that tell the classes apart, but for noise."""
    rng = np.random.default_rng(seed)

    def split(number, name):
        labels = shown(np.arange(number) % 3)
        h = np.maximum(labels, 0) @ np.eye(3, 6)
        return Features((h + 0.4 * rng.standard_normal((number, 6))).astype(np.float32), labels, None, name)

    return split(n, "train"), split(m, "test")


def literal_loss(scores, labels):
    """Image by image and class by class."""
    total = 0.0
    for row, told in zip(scores, labels, strict=True):
        for score, label in zip(row, told, strict=True):
            p = 1 / (1 + np.exp(-score))
            total += {1: -np.log(p), 0: -np.log(1 - p), -1: 0.0}[int(label)]
    return total / len(scores)


def test_the_loss_by_hand_and_term_by_term():
    target = SeveralClasses(np.array([[1, 0]]), np.array([[1, 0]]))
    value = target.loss(torch.zeros(2, 2), torch.tensor([[1, 0], [-1, 1]]))
    assert value.item() == pytest.approx(3 * np.log(2) / 2), "three labels that are told, two images"
    rng = np.random.default_rng(0)
    scores, labels = 2 * rng.standard_normal((30, 5)), rng.integers(-1, 2, size=(30, 5))
    value = target.loss(torch.from_numpy(scores), torch.from_numpy(labels))
    assert value.item() == pytest.approx(literal_loss(scores, labels))


def test_what_can_not_be_told_has_no_gradient():
    scores = torch.randn(4, 3, requires_grad=True)
    labels = torch.tensor([[1, -1, 0], [-1, -1, 1], [0, 0, -1], [1, 1, 1]])
    SeveralClasses(labels.numpy(), labels.numpy()).loss(scores, labels).backward()
    assert ((scores.grad == 0) == (labels == -1)).all()


def test_equals_gradient_descent_written_out():
    """linear_cached for a few steps in float64, from zero, Nesterov's momentum and the cosine."""
    train, test = both()
    probe = LinearProbeCached(epochs=2, base_lr=40.0, batch_size=256)
    found = dict(probe(train, test, 0))
    h = np.concatenate([train.h.astype(np.float64), np.ones((80, 1))], axis=1)
    told = train.labels >= 0
    weight, velocity = np.zeros((3, 7)), np.zeros((3, 7))
    for step in range(2):
        p = 1 / (1 + np.exp(-h @ weight.T))
        gradient = ((p - (train.labels == 1)) * told).T @ h / 80
        velocity = 0.9 * velocity + gradient
        weight -= 40.0 * 80 / 256 * 0.5 * (1 + np.cos(np.pi * step / 2)) * (gradient + 0.9 * velocity)
    scores = np.concatenate([test.h.astype(np.float64), np.ones((40, 1))], axis=1) @ weight.T
    each = [average_precision(scores[:, c], test.labels[:, c]) for c in range(3)]
    np.testing.assert_allclose(found["linear_cached_average_precisions"], each)
    assert found["linear_cached_map"] == pytest.approx(np.mean(each))
    assert set(found) == {"linear_cached_map", "linear_cached_average_precisions"}


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("linear", lambda images: LinearProbe(epochs=20, base_lr=1.0)(convolutional(), images)),
        ("linear", lambda images: LinearProbe(protocol="vissl", epochs=20, base_lr=1.0)(convolutional(), images)),
        ("finetune", lambda images: FineTune(epochs=20, base_lr=0.5)(convolutional(), images, 0)),
        ("finetune", lambda images: FineTune(protocol="bit", epochs=20, base_lr=0.5)(convolutional(), images, 0)),
    ],
)
def test_it_learns_far_above_chance(name, run):
    found = dict(run(SeveralImages()))
    chance = np.mean(np.maximum(SeveralImages().test_labels, 0))
    assert found[f"{name}_map"] > max(0.85, chance + 0.2)
    assert run(SeveralImages())[0] == (f"{name}_map", found[f"{name}_map"]), "the same bits twice"


def test_the_grid_chooses_by_mean_average_precision():
    images = SeveralImages()
    grid = FineTuneGrid(steps=8, batch_size=20, lrs=(1e-4, 1.0), num_lrs=3, num_weight_decays=0)
    for metric in ("map", "top1"):  # there is one only
        found = dict(grid(convolutional(), images, images, 0, metric))
        assert found["finetune_grid_validation_map"] == found["finetune_grid_validation"].max()
        assert found["finetune_grid_lr"] == pytest.approx((1e-4, 1e-2, 1.0)[int(found["finetune_grid_validation"].argmax())])
        assert "finetune_grid_map" in found
        assert "finetune_grid_top1" not in found


class Voc(Shapes):
    """Drawn images that count as of two classes each, with some labels left open, as VOC 2007 has it."""

    metric = "map"

    def __init__(self, split):
        super().__init__(split, num_images=60, size=12)
        one = np.eye(10, dtype=np.int64)[self.labels]
        self.labels = one | np.roll(one, 1, axis=1)
        self.labels[::7, 0] = -1


SECTIONS = {
    "linear": "epochs = 1",
    "linear_cached": "epochs = 1",
    "finetune": "epochs = 1",
    "finetune_grid": 'steps = 2\nnum_lrs = 2\nnum_weight_decays = 0\nvalidation = "val"',
    "logistic": 'num_l2 = 3\nvalidation = "val"',
}


@pytest.mark.parametrize("name", [*SECTIONS, "finetune_grid without validation"])
def test_a_recipe_gives_a_map(tmp_path, name):
    name, _, without = name.partition(" ")
    section = f'[[evaluate]]\nname = "{name}"\n{SECTIONS[name]}\n'
    if without:
        section = section.replace('validation = "val"', "")
    recipe = Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + section)
    report = Lines(Console(file=io.StringIO()))
    evaluator = Evaluator(recipe, Voc, folder=tmp_path, report=report, poll=lambda: None)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * 144, 8))
    found = {one["name"]: one for one in evaluator.trained(encoder, nn.Identity(), epoch=1, parts=recipe.evaluate)}
    assert 0 < found[f"{name}_map"]["value"] <= 1
    assert f"{name}_top1" not in found
    if "grid" in name or name == "logistic":
        assert found[f"{name}_map"]["protocol"]["chosen_by"] == "map"


def test_which_target_there_is():
    several, one = SeveralImages(), FakeImages()
    assert isinstance(of_images(several, "linear"), SeveralClasses)
    assert isinstance(of_images(one, "linear"), OneClassEach)
    assert isinstance(of_features(*both(), "linear"), SeveralClasses)


def test_what_is_wrong_is_said(tmp_path):
    train, test = both()
    other = Features(test.h, test.labels[:, :2], None, "test")
    with pytest.raises(DataError, match="the split 'train' and the split 'test' have different classes, and 'linear' needs"):
        of_features(train, other, "linear")
    images = SeveralImages()
    images.test_labels = np.zeros_like(images.test_labels)
    with pytest.raises(DataError, match="no image of the test split is of any class: 'finetune' can't rank them"):
        FineTune(epochs=1)(convolutional(), images, 0)
    images.test_labels = None
    with pytest.raises(DataError, match="the test split has no labels, and 'linear' needs them"):
        LinearProbe(epochs=1)(convolutional(), images)
    train.h[3] = np.nan
    with pytest.raises(DataError, match="1 of the 80 rows of features of the split 'train' are not finite"):
        LinearProbeCached(epochs=1)(train, test, 0)
    with pytest.raises(DataError, match="Evaluations for several: finetune, finetune_grid, linear, linear_cached, logistic"):
        KNN()(train, test)
