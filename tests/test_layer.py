"""Layers: what each name stands for, and names that stand for none."""

import pytest
import torch
from small import TEXT
from torch import nn

from sslkit.errors import RecipeError, UserError
from sslkit.heads.mlp import MLP
from sslkit.layer import at_layer
from sslkit.recipe import Recipe
from sslkit.registry import registry_of

ENCODER = nn.Flatten()


def test_each_name_is_the_network_up_to_there():
    head, x = MLP(12, layers=3, out_dim=4).eval(), torch.randn(5, 3, 2, 2)
    layers = list(head.layers)
    expected = {"h": ENCODER(x), "head.1": layers[0](ENCODER(x)), "z": head(ENCODER(x))}
    expected["head.2"] = layers[1](expected["head.1"])
    expected["head.3"] = expected["z"]
    for name, value in expected.items():
        assert torch.equal(at_layer(ENCODER, head, name).eval()(x), value), name


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("head.3", "layer: the head MLP has no layer 3. Known: h, head.1, head.2, z."),
        ("head.99", "layer: the head MLP has no layer 99. Known: h, head.1, head.2, z."),
        ("head.0", "layer: there is no layer 'head.0'. Known: h, head.1, head.2, z."),
        ("head.-1", "layer: there is no layer 'head.-1'. Known: h, head.1, head.2, z."),
        ("heads.2", "layer: there is no layer 'heads.2'. Known: h, head.1, head.2, z."),
        ("y", "layer: there is no layer 'y'. Known: h, head.1, head.2, z."),
        ("", "layer: there is no layer ''. Known: h, head.1, head.2, z."),
    ],
)
def test_a_name_that_stands_for_none(layer, message):
    with pytest.raises(UserError) as caught:
        at_layer(ENCODER, MLP(12, layers=2, out_dim=4), layer)
    assert str(caught.value) == message


def test_a_head_that_does_not_tell_its_layers():
    with pytest.raises(UserError, match="the head Linear has no layer 1. Known: h, z."):
        at_layer(ENCODER, nn.Linear(12, 4), "head.1")


@pytest.mark.parametrize("layer", ["head.0", "head.-1", "heads.1", "y", "head.01", "h\\n"])
def test_a_recipe_says_it_with_the_line(layer):
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(f'{TEXT}layer = "{layer}"\n', source="mine.toml")
    shown = repr(layer.replace("\\n", "\n"))
    assert str(caught.value) == f'mine.toml:33: evaluate.1.layer: must be "h", "z", or "head.N" with N from 1, is {shown}.'


def test_the_schema_still_has_the_pattern():
    assert "pattern" in str(registry_of("evaluations").model("knn").model_json_schema()["properties"]["layer"])
