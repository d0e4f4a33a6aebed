"""What stands beside a number: every image that was used, what came of a section, and nothing that was not used."""

import io
from functools import partial

import pytest
import torch
from rich.console import Console
from small import TEXT
from torch import nn

import sslkit
from sslkit import build, results
from sslkit.datasets.shapes import Shapes
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.evaluations.accuracy import Setting
from sslkit.progress import Lines
from sslkit.protocol import protocol
from sslkit.recipe import Recipe


def evaluator(folder, section):
    recipe = Recipe.parse(f"{TEXT[: TEXT.index('[[evaluate]]')]}[[evaluate]]\n{section}\n")
    report = Lines(Console(file=io.StringIO()))
    return Evaluator(recipe, partial(build.images, recipe), folder=folder, report=report, poll=lambda: None)


def refused(folder, section):
    with pytest.raises(DataError) as caught:
        evaluator(folder, section)
    return str(caught.value)


def stated(folder, section):
    """The protocol of a section's first number, of raw pixels."""
    one = evaluator(folder, section)
    return one.trained(nn.Flatten(), nn.Identity(), epoch=1, parts=one.recipe.evaluate)[0]["protocol"]


LOGISTIC = 'name = "logistic"\nnum_l2 = 2\n'


def test_validation_images_are_counted(tmp_path):
    named = stated(tmp_path, LOGISTIC + 'validation = "val"')
    assert (named["train_images"], named["validation_images"]) == (60, 15)
    assert "validation_fraction" not in named, "nothing is held out"
    held_out = stated(tmp_path, LOGISTIC + "validation_fraction = 0.2")
    assert (held_out["train_images"], held_out["validation_images"]) == (60, 10), "one of each class at least"
    assert held_out["validation_fraction"] == 0.2
    assert "validation_images" not in stated(tmp_path, 'name = "knn"\nk = 3')


def test_what_is_counted_is_what_is_held_out(tmp_path):
    one = evaluator(tmp_path, 'name = "finetune_grid"\nvalidation_fraction = 0.4')
    part = one.recipe.evaluate[0]
    found = one._protocol(part, "h")
    assert (found["validation_images"], found["validation_fraction"]) == (20, 0.4)
    assert (found["nesterov"], found["lr_scaling"]) == (True, "none")
    assert not {"base_lr", "weight_decay", "epochs"} & set(found), "the grid has them"


@pytest.mark.parametrize("key", ["labels_per_class = 2", "labels_fraction = 0.1"])
@pytest.mark.parametrize("name", ["logistic", "finetune_grid"])
def test_few_labels_are_not_joined_by_all_of_a_validation_split(tmp_path, name, key):
    found = refused(tmp_path, f'name = "{name}"\n{key}\nvalidation = "val"')
    assert found.startswith(f"evaluate.0 ({name}): {key.split()[0]}: {name!r} would use all labels of 'val' beside those")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            'name = "knn"\nk = 1\nvalidation = "val"',
            "validation: 'knn' chooses nothing on a validation split; leave 'val' out.",
        ),
        ('name = "linear"\nvalidation = "val"', "validation: 'linear' chooses nothing"),
        ('name = "health"\nlabels_per_class = 1', "labels_per_class: 'health' learns from no labels of 'train'; leave it out."),
        ('name = "map_picture"\nlabels_fraction = 0.5', "labels_fraction: 'map_picture' learns from no labels"),
        ('name = "knn"\nk = 1\nrepeats = 2', "repeats: nothing in 'knn' depends on the seed here"),
        (LOGISTIC + 'repeats = 2\nvalidation = "val"', "repeats: nothing in 'logistic' depends on the seed here"),
    ],
)
def test_what_an_evaluation_would_pass_over_is_refused(tmp_path, section, message):
    assert message in refused(tmp_path, section)


@pytest.mark.parametrize(
    "section",
    [
        'name = "knn"\nk = 1\nlabels_per_class = 2\nrepeats = 2',
        'name = "linear"\nrepeats = 2\nlabels_fraction = 0.5',
        LOGISTIC + "repeats = 2",
        'name = "finetune_grid"\nrepeats = 2\nvalidation = "val"',
        'name = "neighbours_picture"\nlabels_per_class = 2',
    ],
)
def test_what_is_used_is_let_through(tmp_path, section):
    evaluator(tmp_path, section)


class Lacking(Shapes):
    """Without images of two classes to learn from."""

    def __init__(self, split):
        super().__init__(split, num_images=60, size=12)
        if split == "train":
            self.labels = self.labels % 8


def test_classes_that_nothing_is_learnt_of_are_said_once(tmp_path):
    said = io.StringIO()
    sections = '[[evaluate]]\nname = "knn"\nk = 1\n[[evaluate]]\nname = "linear"\n[[evaluate]]\nname = "health"\n'
    recipe = Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + sections)
    Evaluator(recipe, Lacking, folder=tmp_path, report=Lines(Console(file=said, width=200)), poll=lambda: None)
    number = int((Lacking("test").labels >= 8).sum())
    assert said.getvalue().split("\n")[:-1] == [
        f"evaluate: no image of 'train' is of {', '.join(sorted(Lacking('test').classes[8:]))}, and {number} of the 15 images of "
        f"'test' are: for what learns its classes from there they are errors."
    ]


def test_by_what_it_was_computed_stands_beside_the_protocol(tmp_path):
    one = evaluator(tmp_path, 'name = "knn"\nk = 1')
    record = one.trained(nn.Flatten(), nn.Identity(), epoch=1, parts=one.recipe.evaluate)[0]
    assert record["computed"]["precision"] == "fp32"
    assert record["computed"]["versions"]["sslkit"] == sslkit.__version__
    assert record["computed"]["device"] == one.device.type
    assert record["test_contents"] == Shapes("test", num_images=60, size=12).contents
    other = {**record, "computed": {}, "value": 0.5}
    assert results.merged([record], [other]) == [other], "it is the same number"
    assert results.of_other_images([record], [other]) == []
    elsewhere = {**other, "test_contents": "others"}
    assert results.merged([record], [elsewhere]) == [elsewhere]
    assert results.of_other_images([record], [elsewhere]) == [elsewhere]
    assert results.of_other_images([{**record, "epoch": 2}], [elsewhere]) == []


@pytest.mark.parametrize("package", [sslkit, torch])
def test_another_version_embeds_anew(tmp_path, monkeypatch, package):
    def files():
        one = evaluator(tmp_path, 'name = "knn"\nk = 1')
        one.trained(nn.Flatten(), nn.Identity(), epoch=1, parts=one.recipe.evaluate)
        return [path.stat().st_mtime_ns for path in sorted((tmp_path / "features").iterdir())]

    first = files()
    assert files() == first
    monkeypatch.setattr(package, "__version__", "0.0.0")
    assert all(now > then for now, then in zip(files(), first, strict=True))


def test_the_mean_of_settings_is_geometric():
    """They come from a grid in equal ratios: of 1e-6 and 1e4 the arithmetic mean is almost the larger one."""
    repeats = [
        [("l2", Setting(l2)), ("decay", Setting(decay)), ("top1", top1)] for l2, decay, top1 in ((1e-6, 0, 0.4), (1e4, 1, 0.6))
    ]
    l2, decay, top1 = results.records(repeats, encoder="trained", epoch=1, protocol={}, circumstances={})
    assert l2["value"] == pytest.approx(1e-1)
    assert "spread" not in l2
    assert l2["values"] == [1e-6, 1e4]
    assert decay["value"] == 0
    assert (top1["value"], top1["spread"]) == (pytest.approx(0.5), pytest.approx(0.02**0.5))
    [one] = results.records(repeats[:1], encoder="trained", epoch=1, protocol={}, circumstances={})[:1]
    assert (one["value"], type(one["value"])) == (1e-6, float)


def test_chosen_settings_are_marked(tmp_path):
    one = evaluator(tmp_path, LOGISTIC + "repeats = 2")
    found = {record["name"]: record for record in one.trained(nn.Flatten(), nn.Identity(), epoch=1, parts=one.recipe.evaluate)}
    assert "spread" not in found["logistic_l2"]
    assert "spread" in found["logistic_top1"]


def test_what_came_of_a_section_stands_there_not_what_was_asked():
    """An index never has more lists than its bank has images."""
    section = '[[evaluate]]\nname = "knn"\nk = 1\nindex = "ivf"\nnum_lists = 1000\n'
    recipe = Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + section)
    facts = {"digest": "", "layer": "h", "num_train": 100, "num_validation": None, "num_test": 10, "metric": "top1"}
    found = protocol(recipe, recipe.evaluate[0], **facts)
    assert found["num_lists"] == build.component(recipe.evaluate[0]).settings(100)["num_lists"] < 1000
