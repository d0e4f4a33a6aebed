"""Roles: what a parameter is to its module, whatever it is called and however many axes it has."""

from typing import Any

import pytest
import torch
from torch import nn

from sslkit.errors import ContractError
from sslkit.roles import parameter_groups


def roles(module: nn.Module) -> dict[str, str]:
    return {name: group["role"] for group in parameter_groups(module) for name in group["names"]}


NORMS = [
    nn.BatchNorm1d(4),
    nn.BatchNorm2d(4),
    nn.BatchNorm3d(4),
    nn.SyncBatchNorm(4),
    nn.LayerNorm((4, 2, 2)),  # a norm with three axes
    nn.GroupNorm(2, 4),
    nn.InstanceNorm1d(4, affine=True),
    nn.InstanceNorm2d(4, affine=True),
    nn.InstanceNorm3d(4, affine=True),
    nn.RMSNorm(4),
]
LAYERS = [
    nn.Linear(4, 1),
    nn.Conv1d(2, 2, 1),
    nn.Conv2d(2, 2, 1),
    nn.Conv3d(2, 2, 1),
    nn.ConvTranspose1d(2, 2, 1),
    nn.ConvTranspose2d(2, 2, 1),
    nn.ConvTranspose3d(2, 2, 1),
    nn.Bilinear(2, 2, 2),
]


def kind(module: nn.Module) -> str:
    return type(module).__name__


@pytest.mark.parametrize("norm", NORMS, ids=kind)
def test_norms(norm: nn.Module) -> None:
    found = roles(norm)
    assert set(found) == {name for name, _ in norm.named_parameters()}
    assert set(found.values()) == {"norm"}


@pytest.mark.parametrize("layer", LAYERS, ids=kind)
def test_layers(layer: nn.Module) -> None:
    assert roles(layer) == {"weight": "weight", "bias": "bias"}


def test_layers_of_another_form() -> None:
    assert roles(nn.LocalResponseNorm(2)) == {}
    assert roles(nn.BatchNorm2d(4, affine=False)) == {}
    assert roles(nn.Embedding(5, 2)) == roles(nn.EmbeddingBag(5, 2)) == {"weight": "weight"}
    assert roles(nn.PReLU()) == {"weight": "other"}
    attention = {"in_proj_weight": "weight", "in_proj_bias": "bias", "out_proj.weight": "weight", "out_proj.bias": "bias"}
    assert roles(nn.MultiheadAttention(4, 2)) == attention
    apart = roles(nn.MultiheadAttention(4, 2, kdim=3, vdim=3, add_bias_kv=True))
    assert {name for name, role in apart.items() if role == "weight"} == {
        *("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight")
    }
    assert apart["bias_k"] == apart["bias_v"] == "other"  # one more key and value, which no layer adds to its output


class Misleading(nn.Module):
    """Names and shapes that say the opposite of what is true."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Linear(3, 1)  # its weight is called bias.weight
        self.bn = nn.Conv2d(1, 1, 1)
        self.weight = nn.Parameter(torch.ones(3, 3))
        self.token_bias = nn.Parameter(torch.ones(3))
        self.conv = nn.BatchNorm2d(3)


def test_neither_names_nor_shapes_mislead() -> None:
    assert roles(Misleading()) == {
        "bias.weight": "weight",
        "bn.weight": "weight",
        "conv.weight": "norm",
        "conv.bias": "norm",
        "bias.bias": "bias",
        "bn.bias": "bias",
        "weight": "other",
        "token_bias": "other",
    }


class Rescaled(nn.Linear):
    """A layer of someone's own, with a parameter more."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.gain = nn.Parameter(torch.ones(2))


def test_a_subclass_keeps_the_roles_of_its_layer() -> None:
    assert roles(Rescaled()) == {"weight": "weight", "bias": "bias", "gain": "other"}


def test_groups_by_hand() -> None:
    """One group a role that occurs, in a fixed order, each parameter at its name."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1, bias=False)))
    groups = parameter_groups(model)
    assert [(group["role"], group["names"], group["lr_scale"]) for group in groups] == [
        ("weight", ["1.weight", "2.0.weight"], 1.0),
        ("norm", ["0.weight", "0.bias"], 1.0),
        ("bias", ["1.bias"], 1.0),
    ]
    for group in groups:
        assert all(model.get_parameter(n) is p for n, p in zip(group["names"], group["params"], strict=True))
    assert [group["names"] for group in parameter_groups(model)] == [group["names"] for group in groups]


def test_a_resnet_and_a_transformer_are_covered_once() -> None:
    torchvision = pytest.importorskip("torchvision")
    resnet = torchvision.models.resnet18()
    assert [(g["role"], len(g["params"])) for g in parameter_groups(resnet)] == [("weight", 21), ("norm", 40), ("bias", 1)]
    vit = torchvision.models.VisionTransformer(8, 4, 2, 2, 8, 8)
    groups = parameter_groups(vit)
    assert sorted(name for group in groups for name in group["names"]) == sorted(name for name, _ in vit.named_parameters())
    assert {g["role"]: g["names"] for g in groups}["other"] == ["class_token", "encoder.pos_embedding"]


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).requires_grad_(False)
    assert parameter_groups(model) == []
    model[1].weight.requires_grad_(True)
    assert roles(model) == {"1.weight": "weight"}


def test_shared_parameters_appear_once() -> None:
    model = nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 5, bias=False), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model.append(model[2])
    assert roles(model) == {"0.weight": "weight", "2.weight": "weight", "2.bias": "bias"}


class Says(nn.Module):
    """A module with an opinion."""

    def __init__(self, said: Any) -> None:
        super().__init__()
        self.said = said
        self.scale = nn.Parameter(torch.ones(2))
        self.inner = nn.Linear(2, 2)

    def parameter_roles(self) -> Any:
        return self.said


def test_a_module_may_say_otherwise() -> None:
    found = roles(nn.Sequential(Says({"scale": "norm", "inner.weight": "other"})))
    assert found == {"0.scale": "norm", "0.inner.weight": "other", "0.inner.bias": "bias"}


def test_the_outer_word_counts_first() -> None:
    outer = Says({"inner.scale": "weight"})
    outer.add_module("inner", Says({"scale": "norm", "inner.bias": "other"}))
    found = roles(outer)
    assert (found["inner.scale"], found["inner.inner.bias"], found["scale"]) == ("weight", "other", "other")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"sclae": "norm"}, r"0 \(Says\): parameter_roles\(\): has no parameter 'sclae'. Did you mean 'scale'\? Known: inner"),
        ({"scale": "nrom"}, r"'scale' can't be 'nrom'. Did you mean 'norm'\?"),
        ({"scale": None}, r"'scale' can't be None. Known: bias, norm, other, weight"),
        (["scale"], "must give a dict"),
    ],
)
def test_a_wrong_word_is_explained(said: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        parameter_groups(nn.Sequential(Says(said)))
