"""Recipes: checked whole, every problem at once with its line, resolved and back."""

from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sslkit import build, toml
from sslkit.errors import RecipeError, SslkitError, UserError, did_you_mean
from sslkit.recipe import Recipe
from sslkit.registry import register, registry_of
from sslkit.schema import recipe_schema
from sslkit.shipped import shipped
from sslkit.toml_writer import dump

TEXT = """\
backbone  = { name = "resnet", depth = 18 }
head      = { name = "mlp" }
loss      = { name = "nt_xent", temperature = 0.5 }
optimizer = { name = "sgd" }
augmentations = [
  { name = "random_resized_crop", size = 32 },
  { name = "horizontal_flip", p = 0.25 },
]

[data]
name = "shapes"

[train]
epochs = 2
batch_size = 8
base_lr = 0.1
warmup_epochs = 1

[[evaluate]]
name = "knn"
k = [1, 5]
"""


def problems(text, *overrides):
    with pytest.raises(RecipeError) as error:
        Recipe.parse(text, source="my.toml", overrides=overrides)
    return str(error.value).splitlines()


def test_defaults_are_filled_in():
    recipe = Recipe.parse(TEXT)
    assert recipe.method.name == "siamese"
    assert recipe.loss.parameters["temperature"] == 0.5
    assert recipe.loss.parameters["directions"] == "mean"
    assert recipe.head.parameters["out_dim"] == 128
    assert recipe.data.options == {"split": "train", "limit": None, "workers": "auto"}
    assert [part.options["p"] for part in recipe.views[0]] == [1.0, 0.25]
    assert recipe.evaluate[0].parameters["k"] == (1, 5)  # a list fills a tuple
    assert len(recipe.views) == 2
    assert recipe.evaluation_augmentations[0].parameters == {"size": 32, "fraction": 1.0, "interpolation": "bicubic"}


def test_the_evaluation_view_is_the_papers_centre_crop_for_large_images():
    recipe = Recipe.parse(TEXT.replace("size = 32", "size = 224"))
    assert recipe.evaluation_augmentations[0].parameters["fraction"] == 0.875


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("temperature", "temprature"),
            "my.toml:3: loss.temprature: 'nt_xent' has no such parameter. Did you mean 'temperature'?",
        ),
        (("= 0.5", '= "0.5"'), "my.toml:3: loss.temperature: must be a number, is '0.5'."),
        (("= 0.5", "= true"), "my.toml:3: loss.temperature: must be a number, is true."),
        (("= 0.5", "= nan"), "my.toml:3: loss.temperature: must be a finite number, is nan."),
        (("batch_size = 8", "batch_size = -1"), "my.toml:15: train.batch_size: must be greater than 1, is -1."),
        (("batch_size = 8", "batch_size = 8.5"), "my.toml:15: train.batch_size: must be an integer, is 8.5."),
        (("batch_size", "batchsize"), "my.toml:15: train.batchsize: [train] has no such parameter. Did you mean 'batch_size'?"),
        (
            ('"nt_xent"', '"ntxent"'),
            "my.toml:3: loss.name: no loss is called 'ntxent'. Did you mean 'nt_xent'? Known: dcl, margin, nt_logistic, nt_xent, sup_con.",
        ),
        (("head ", "heads"), "my.toml:2: heads: there is no such section. Did you mean 'head'?"),
        (('{ name = "mlp" }', '"mlp"'), "my.toml:2: head: must be a table with a name, one of: identity, linear, mlp."),
        (
            ("size = 32", "sice = 32"),
            "my.toml:6: augmentations.0.sice: 'random_resized_crop' has no such parameter. Did you mean 'size'?",
        ),
        (("size = 32", "size = 32, area = [0.1]"), "my.toml:6: augmentations.0.area: must hold 2 values, is [0.1]."),
        (("p = 0.25", "p = 1.5"), "my.toml:7: augmentations.1.p: must be at most 1, is 1.5."),
        (("k = [1, 5]", "k = 0"), "my.toml:21: evaluate.0.k: must be greater than 0 or a list, is 0."),
        (("warmup_epochs = 1", "warmup_epochs = 2"), "my.toml:17: train.warmup_epochs: must be less than the 2 epochs, is 2."),
        (("depth = 18", "depth = 19"), "my.toml:1: backbone.depth: must be 18, 34, 50, 101, 152 or 200, is 19."),
    ],
)
@pytest.mark.fault(
    "a misspelt key or name, a wrong type, a number out of range or NaN",
    injected="one change of a recipe each",
    expected="file, line, and the nearest right thing",
    theme="recipe",
)
def test_each_mistake_has_its_line_and_the_nearest_right_thing(change, says):
    assert TEXT.count(change[0]) >= 1
    assert any(line.startswith(says) for line in problems(TEXT.replace(*change, 1))), problems(TEXT.replace(*change, 1))


@pytest.mark.parametrize(
    ("angles", "says"),
    [
        ("[45]", ["my.toml:7: augmentations.1.angles.0: must be 0, 90, 180 or 270, is 45."]),
        ("[]", ["my.toml:7: augmentations.1.angles: must hold at least 1 values, is []."]),
    ],
)
def test_a_wrong_item_does_not_make_a_list_too_short(angles, says):
    text = TEXT.replace('name = "horizontal_flip", p = 0.25', f'name = "rotate", angles = {angles}')
    assert problems(text) == says


@pytest.mark.fault(
    "several mistakes at once",
    injected="three of them in one recipe",
    expected="all in one message",
    theme="recipe",
)
def test_all_problems_are_reported_at_once():
    broken = TEXT.replace("temperature", "temprature").replace("batch_size = 8", "batch_size = -1").replace('"sgd"', '"sdg"')
    assert len(problems(broken)) == 3


def test_a_list_must_begin_with_a_crop_and_hold_no_other():
    assert "must begin with a crop" in problems(TEXT.replace('  { name = "random_resized_crop", size = 32 },\n', ""))[0]
    twice = TEXT.replace('{ name = "horizontal_flip", p = 0.25 }', '{ name = "center_crop", size = 32 }')
    assert "hold no other one" in problems(twice)[0]


def test_sections_that_are_missing():
    lines = problems("")
    for section in ("backbone", "head", "loss", "optimizer", "data", "train", "augmentations"):
        assert any(f"{section}: " in line for line in lines), section


def test_overrides_go_through_the_same_check():
    recipe = Recipe.parse(
        TEXT, overrides=["loss.temperature=0.2", "data.name=shapes", "augmentations.0.size=64", "evaluate.0.k=3"]
    )
    assert recipe.loss.parameters["temperature"] == 0.2
    assert recipe.views[0][0].parameters["size"] == 64
    assert problems(TEXT, "loss.temprature=1")[0].startswith("--set loss.temprature: 'nt_xent' has no such")
    for wrong in ("loss", "=3", "augmentations.7.size=3", "train.epochs.x=1"):
        with pytest.raises(UserError, match="--set"):
            Recipe.parse(TEXT, overrides=[wrong])


def test_views_of_their_own():
    text = TEXT.replace("augmentations = [", "views = [{ augmentations = [").replace("]\n\n[data]", "], count = 3 }]\n\n[data]")
    recipe = Recipe.parse(text)
    assert len(recipe.views) == 3
    assert "give one list" in problems(TEXT + "\n[[views]]\naugmentations = []\n")[0]


@pytest.mark.parametrize("path", shipped().values(), ids=lambda path: path.stem)
def test_shipped_recipes_are_right_and_survive_resolving(path):
    recipe = Recipe.load(path)
    again = Recipe.parse(dump(recipe.to_dict()), name=path.stem)
    assert again == recipe
    assert again.digest() == recipe.digest()
    assert recipe.differences(again.to_dict()) == []


def test_what_moves_weights_and_what_does_not():
    recipe = Recipe.parse(TEXT)
    for free in ("data.workers=3", "train.log_every=1", "train.checkpoint_every_epochs=9", "evaluate=[]"):
        assert Recipe.parse(TEXT, overrides=[free]).digest() == recipe.digest(), free
    other = Recipe.parse(TEXT, overrides=["loss.temperature=0.2", "train.seed=1"])
    assert other.digest() != recipe.digest()
    assert other.differences(recipe.to_dict()) == ["loss.temperature: 0.5 -> 0.2", "train.seed: 0 -> 1"]


def test_views_that_contradict_each_other():
    views = TEXT.replace("augmentations = [", "views = [{ augmentations = [").replace("]\n\n[data]", "] }]\n\n[data]")
    assert "num_views: belongs to a list that all views share" in problems("num_views = 3\n" + views)[0]
    empty = TEXT[: TEXT.index("augmentations")] + "views = []\n" + TEXT[TEXT.index("[data]") :]
    assert "views: must hold at least one view." in problems(empty)[0]
    assert "a crop is made of every image" in problems(TEXT.replace("size = 32", "size = 32, p = 0.5"))[0]


VIEWS = TEXT.replace("augmentations = [", "[[views]]\ncount = 2\naugmentations = [")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count", "cont", ["my.toml:6: views.0.cont: [[views]] has no such key. Did you mean 'count'?"]),
        (
            "augmentations",
            "augmentation",
            ["my.toml:7: views.0.augmentation: [[views]] has no such key. Did you mean 'augmentations'?"],
        ),
        ("count = 2", "p = 1", ["my.toml:6: views.0.p: [[views]] has no such key. It has: augmentations, count."]),
        (
            '{ name = "horizontal_flip", p = 0.25 },\n]',
            '{ name = "horizontal_flip", p = 0.25 },\n]\n[[views]]\ncount = 1',
            ["my.toml:11: views.1.augmentations: is missing; a view is a list that begins with a crop."],
        ),
        (
            'count = 2\naugmentations = [\n  { name = "random_resized_crop", size = 32 }',
            'cont = 2\naugmentations = [\n  { name = "random_resized_crop", sice = 32 }',
            [
                "my.toml:6: views.0.cont: [[views]] has no such key. Did you mean 'count'?",
                "my.toml:8: views.0.augmentations.0.size: is missing; 'random_resized_crop' can't do without it.",
                "my.toml:8: views.0.augmentations.0.sice: 'random_resized_crop' has no such parameter. Did you mean 'size'?",
            ],
        ),
    ],
)
def test_a_misspelt_key_of_a_view_is_named(old, new, says):
    assert len(Recipe.parse(VIEWS).views) == 2
    assert VIEWS.count(old) == 1
    assert problems(VIEWS.replace(old, new)) == says


def test_a_table_that_an_override_replaces_is_blamed_on_the_override():
    assert problems(TEXT, "loss={name='nt_xentt'}")[0].startswith("--set loss: loss.name: no loss is called 'nt_xentt'.")


def test_the_number_after_the_last_item_adds_one():
    num = len(Recipe.parse(TEXT).evaluate)
    added = Recipe.parse(TEXT, overrides=[f'evaluate.{num}={{name="logistic"}}', f"evaluate.{num}.layer=z"])
    assert [part.name for part in added.evaluate][num:] == ["logistic"]
    assert added.evaluate[num].options["layer"] == "z"
    with pytest.raises(UserError, match=f"the recipe has no 'evaluate.{num + 1}'"):
        Recipe.parse(TEXT, overrides=[f'evaluate.{num + 1}={{name="logistic"}}'])


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("K", "k"),
        ("k", "k"),
        ("TEMPERATUR", "temperature"),
        ("temperatur", "temperature"),
        ("x", None),
        ("Metrik", "metric_of"),
    ],
)
def test_a_misspelt_word_is_recognised_whatever_its_case(word, near):
    assert did_you_mean(word, ["metric_of", "temperature", "k"]) == (f" Did you mean {near!r}?" if near else "")


def test_hostile_overrides():
    for wrong in ("augmentations.\u00b2.size=3", "data.root=\udce9"):
        with pytest.raises(UserError, match="--set"):
            Recipe.parse(TEXT, overrides=[wrong])
    assert problems(TEXT, "los.temperature=1")[0].startswith("--set los.temperature: los: there is no such section.")
    assert problems(TEXT, "0=1")[0].startswith("--set 0: there is no such section.")  # a number is a key like others here
    assert problems(TEXT, "loss.0=1")[0].startswith("--set loss.0: 'nt_xent' has no such parameter.")
    with pytest.raises(UserError, match="the recipe has no 'augmentations"):
        Recipe.parse(TEXT, overrides=[f"augmentations.{'9' * 5000}.size=3"])


def test_where_data_lie_is_not_what_they_are():
    text = TEXT.replace('name = "shapes"', 'name = "image_folder"\nroot = "a"')
    one, other = Recipe.parse(text), Recipe.parse(text, overrides=["data.root=b"])
    assert one.digest() == other.digest()
    assert other.differences(one.to_dict()) == ["data.root: 'a' -> 'b'"]


@pytest.mark.parametrize("path", shipped().values(), ids=lambda path: path.stem)
def test_the_schema_accepts_shipped_recipes_and_refuses_broken_ones(path):
    data, _ = toml.parse(path.read_text())
    validator = jsonschema.Draft202012Validator(recipe_schema())
    assert not list(validator.iter_errors(data))
    for broken in (
        {**data, "loss": {"name": "nt_xent", "temprature": 1}},
        {**data, "loss": {"name": "x"}},
        {**data, "los": {}},
    ):
        assert list(validator.iter_errors(broken))


def test_the_schema_knows_every_component():
    schema = recipe_schema()
    assert schema["properties"]["loss"] == {"$ref": "#/$defs/losses"}
    names = schema["$defs"]["losses"]["discriminator"]["mapping"]
    assert "nt_xent" in names
    assert schema["$defs"]["losses.nt_xent"]["properties"]["temperature"]["exclusiveMinimum"] == 0
    assert schema["$defs"]["losses.nt_xent"]["additionalProperties"] is False


@pytest.mark.fault(
    "a recipe that is not there, is a folder, or is no UTF-8",
    injected="such paths",
    expected="said so, with the nearest name",
    theme="recipe",
)
def test_files_that_are_no_recipes(tmp_path):
    (tmp_path / "quick.toml").write_text(TEXT)
    (tmp_path / "latin.toml").write_bytes(b"a = '\xff'")
    for path, says in [("quik.toml", "Did you mean 'quick.toml'"), ("latin.toml", "not UTF-8"), ("", "can't be read")]:
        with pytest.raises(UserError, match=says):
            Recipe.load(tmp_path / path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
).filter(lambda value: value is not None)
KEYS = st.sampled_from(
    ["loss", "train", "augmentations", "loss.temperature", "train.epochs", "data", "evaluate", "views", "num_views", "x"]
)


@settings(max_examples=60, deadline=None)
@given(KEYS, VALUES)
@pytest.mark.fault(
    "any value at any key",
    injected="drawn at random",
    expected="a recipe, or an error of recipes",
    theme="recipe",
)
def test_whatever_stands_there_is_a_recipe_or_a_recipe_error(key, value):
    data, _ = toml.parse(TEXT)
    *sections, last = key.split(".")
    target = data
    for section in sections:
        target = target[section]
    target[last] = value
    from sslkit.check import Check
    from sslkit.places import Places

    try:
        recipe = Recipe(name="x", **Check(Places("x", {})).sections(data))
        assert Recipe.parse(dump(recipe.to_dict()), name="x") == recipe
        assert len(recipe.digest()) == 12
    except SslkitError as error:
        assert str(error)


@pytest.mark.fault(
    "values that look like code, variables or paths",
    injected="`os:system`, `__import__`, `$HOME`, `../x` in a recipe",
    expected="taken as text, or refused as an unknown name",
    theme="recipe",
)
def test_nothing_is_executed_or_expanded():
    recipe = Recipe.parse(TEXT.replace('name = "shapes"', 'name = "image_folder"\nroot = "$HOME/../x"'))
    assert recipe.data.parameters["root"] == Path("$HOME/../x")
    for name in ("os:system", "sslkit.errors:UserError", "../x", "__import__('os')"):
        assert "no loss is called" in problems(TEXT.replace('"nt_xent"', f'"{name}"'))[0]


def test_a_method_that_has_its_own_loss_takes_none():
    @register("methods", "alone")
    class Alone(nn.Module):
        def __init__(self, backbone, head):
            super().__init__()
            self.backbone, self.head = backbone, head

        def project(self, views):
            return tuple(self.head(self.backbone(view)) for view in views)

        def objective(self, *zs, labels=None, indices=None):
            return zs[0].square().mean(), {}

    try:
        with pytest.raises(RecipeError, match="loss: the method 'alone' takes none, for it has its own; leave it out"):
            Recipe.parse(TEXT, overrides=["method.name=alone"])
        without = "\n".join(line for line in TEXT.splitlines() if not line.startswith("loss"))
        recipe = Recipe.parse(without, overrides=["method.name=alone"])
        assert recipe.loss is None
        assert Recipe.parse(recipe.to_toml()).digest() == recipe.digest()
        build.check(recipe)
        with pytest.raises(RecipeError, match="loss: is missing"):
            Recipe.parse(without)
    finally:
        registry_of("methods")._registered.clear()
