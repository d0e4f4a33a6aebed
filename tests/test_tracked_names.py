"""Tracked names: no two numbers of a run bear one name, and each keeps its own."""

import io
import itertools

import pytest
from rich.console import Console
from small import TEXT

from sslkit.folder import RunFolder
from sslkit.journal import Journal
from sslkit.progress import Lines
from sslkit.protocol import protocol
from sslkit.recipe import Recipe
from sslkit.tracked_names import differing_keys, tracked_name

KNN = ["k = 5", "k = 20", 'k = 5\nlayer = "z"', "k = 5\nlabels_fraction = 0.5", "k = 5\nlabels_per_class = 2", "k = [5, 20]"]


def recipe_of(*sections):
    text = "".join(f'[[evaluate]]\nname = "{name}"\n{settings}\n' for name, settings in sections)
    return Recipe.parse(TEXT[: TEXT.index("[[evaluate]]")] + text)


def record(recipe, part, *, epoch=3, value=0.5, name=None):
    facts = {"digest": "f00", "layer": part.options["layer"], "num_train": 60, "num_test": 15, "metric": "top1"}
    stated = protocol(recipe, part, **facts)
    return {"encoder": "trained", "name": name or f"{part.name}_top1", "value": value, "epoch": epoch, "protocol": stated}


def names(*sections):
    recipe = recipe_of(*sections)
    keys = differing_keys(recipe.evaluate)
    return [tracked_name(record(recipe, part), keys) for part in recipe.evaluate]


def test_by_hand():
    assert names(("knn", "k = 3")) == ["knn_top1"]
    assert names(("knn", "k = 3\nlabels_per_class = 10")) == ["knn_top1_10_labels"]
    assert names(("knn", "k = 3\nlabels_fraction = 0.01")) == ["knn_top1_labels_fraction_0.01"]
    assert names(("knn", "k = 3"), ("linear_cached", "epochs = 3")) == ["knn_top1", "linear_cached_top1"]
    assert names(("knn", "k = 3"), ("knn", "k = 3\nlabels_per_class = 10")) == ["knn_top1", "knn_top1_10_labels"]
    assert names(("knn", "k = 3"), ("knn", 'k = 5\nevery_epochs = 1\nbaselines = ["pixels"]')) == [
        "knn_top1_k_3",
        "knn_top1_k_5",
    ]
    assert names(*(("knn", one) for one in KNN)) == [
        "knn_top1_layer_h_k_5",
        "knn_top1_layer_h_k_20",
        "knn_top1_layer_z_k_5",
        "knn_top1_layer_h_k_5_labels_fraction_0.5",
        "knn_top1_layer_h_k_5_2_labels",
        "knn_top1_layer_h_k_5-20",
    ]
    assert names(("linear_cached", "repeats = 3"), ("linear_cached", 'test = "val"'))[1] == "linear_cached_top1_test_val"


@pytest.mark.parametrize("number", [2, 3])
def test_no_two_of_them_are_called_alike(number):
    for some in itertools.combinations(KNN, number):
        found = names(*(("knn", one) for one in some))
        assert len(set(found)) == number, found


def test_a_name_does_not_depend_on_what_is_due(tmp_path):
    recipe = recipe_of(("knn", "k = 5\nevery_epochs = 1"), ("knn", "k = 20"))
    said, tracked = io.StringIO(), []
    report = Lines(Console(file=said))
    journal = Journal(RunFolder(tmp_path), report=report, evaluate=recipe.evaluate)
    journal.open([lambda step, numbers: tracked.append(numbers)])
    journal.record([record(recipe, recipe.evaluate[0], epoch=1)], step=3, epoch=1)
    both = [record(recipe, part, value=value) for part, value in zip(recipe.evaluate, (0.25, 0.75), strict=True)]
    journal.record(both, step=9, epoch=3, finished=True)
    assert tracked == [{"knn_top1_k_5": 0.5}, {"knn_top1_k_5": 0.25, "knn_top1_k_20": 0.75}]
    assert said.getvalue().splitlines() == [
        "epoch 1: knn_top1_k_5 = 0.5000",
        "epoch 3: knn_top1_k_5 = 0.2500",
        "epoch 3: knn_top1_k_20 = 0.7500",
    ]
