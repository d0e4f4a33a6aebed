"""SGD and AdamW: torch's own, told by roles what not to decay."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.optimizers import registry
from sslkit.optimizers.adamw import AdamW
from sslkit.optimizers.sgd import SGD
from sslkit.roles import parameter_groups

BOTH = pytest.mark.parametrize("optimizer_class", [SGD, AdamW])
Optimizers = type[SGD] | type[AdamW]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)).double()


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, x[:, :1] * x[:, 1:2]


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    x, y = data()
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def restated_sgd(w: Tensor, grads: list[Tensor], *, lr: float, decay: float, nesterov: bool) -> Tensor:
    v = torch.zeros_like(w)
    for g in grads:
        pulled = g + decay * w
        v = 0.9 * v + pulled
        w = w - lr * (pulled + 0.9 * v if nesterov else v)
    return w


def restated_adamw(w: Tensor, grads: list[Tensor], *, lr: float, decay: float) -> Tensor:
    m, s = torch.zeros_like(w), torch.zeros_like(w)
    for t, g in enumerate(grads, start=1):
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * g**2
        w = w - lr * decay * w - lr * (m / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8)
    return w


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


lrs = st.floats(1e-3, 0.5)
decays = st.sampled_from([0.0, 0.01, 0.3])
exclusions = st.sampled_from([(), ("norm", "bias"), ("weight",)])


def starts() -> list[Tensor]:
    return [random(3, 2, seed=100), random(3, seed=101)]


def a_weight_and_a_bias() -> tuple[list[dict[str, Any]], list[list[Tensor]]]:
    """Groups of two parameters, and four gradients of each."""
    weight, bias = starts()
    groups = [{"params": [weight], "role": "weight"}, {"params": [bias], "role": "bias"}]
    return groups, [[random(*start.shape, seed=10 * k + step) for step in range(4)] for k, start in enumerate(starts())]


def follow(optimizer: torch.optim.Optimizer, grads: list[list[Tensor]]) -> list[Tensor]:
    params = [param for group in optimizer.param_groups for param in group["params"]]
    for step_grads in zip(*grads, strict=True):
        for param, grad in zip(params, step_grads, strict=True):
            param.grad = grad.clone()  # torch's Nesterov writes into it
        optimizer.step()
    return params


@settings(max_examples=20, deadline=None)
@given(lr=lrs, weight_decay=decays, nesterov=st.booleans(), exclude=exclusions)
def test_sgd_equals_the_restatement(lr: float, weight_decay: float, nesterov: bool, exclude: tuple[Any, ...]) -> None:
    groups, grads = a_weight_and_a_bias()
    params = follow(SGD(groups, lr, weight_decay=weight_decay, nesterov=nesterov, exclude=exclude), grads)
    for start, param, mine, role in zip(starts(), params, grads, ("weight", "bias"), strict=True):
        decay = 0.0 if role in exclude else weight_decay
        right = restated_sgd(start, mine, lr=lr, decay=decay, nesterov=nesterov)
        torch.testing.assert_close(param, right, rtol=1e-10, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(lr=lrs, weight_decay=decays, exclude=exclusions)
def test_adamw_equals_the_restatement(lr: float, weight_decay: float, exclude: tuple[Any, ...]) -> None:
    groups, grads = a_weight_and_a_bias()
    params = follow(AdamW(groups, lr, weight_decay=weight_decay, exclude=exclude), grads)
    for start, param, mine, role in zip(starts(), params, grads, ("weight", "bias"), strict=True):
        right = restated_adamw(start, mine, lr=lr, decay=0.0 if role in exclude else weight_decay)
        torch.testing.assert_close(param, right, rtol=1e-10, atol=1e-12)


def test_by_hand() -> None:
    """Gradient 0, lr 0.1: decay 0.5 takes a twentieth of a weight and leaves a bias."""
    for optimizer_class in (SGD, AdamW):
        weight, bias = torch.ones(2), torch.ones(2)
        weight.grad, bias.grad = torch.zeros(2), torch.zeros(2)
        groups = [{"params": [weight], "role": "weight"}, {"params": [bias], "role": "bias"}]
        optimizer_class(groups, 0.1, weight_decay=0.5).step()
        torch.testing.assert_close(weight, torch.full((2,), 0.95))
        assert torch.equal(bias, torch.ones(2))


@BOTH
def test_takes_the_groups_of_a_module_and_leaves_them_as_they_are(optimizer_class: Optimizers) -> None:
    """Torch writes its defaults into the dicts it gets: a second optimizer would then inherit the lr of the first."""
    groups = parameter_groups(net())
    before = [dict(group) for group in groups]
    optimizer = optimizer_class(groups, 0.1, weight_decay=0.5)
    assert [set(group) for group in groups] == [set(group) for group in before]
    decays = {group["role"]: group["weight_decay"] for group in optimizer.param_groups}
    assert decays == {"weight": 0.5, "norm": 0.0, "bias": 0.0}
    assert [group["names"] for group in optimizer.param_groups] == [group["names"] for group in before]
    assert all(group["lr_scale"] == 1.0 and group["foreach"] for group in optimizer.param_groups)


@BOTH
def test_plain_parameters_count_as_weights(optimizer_class: Optimizers) -> None:
    for given_ in (net().parameters(), net().named_parameters()):
        optimizer = optimizer_class(given_, 0.1, weight_decay=0.5)
        (group,) = optimizer.param_groups
        assert (group["role"], group["lr_scale"], group["weight_decay"]) == ("weight", 1.0, 0.5)


@BOTH
def test_the_same_bits_twice_and_after_resuming(optimizer_class: Optimizers) -> None:
    model = net()
    train(model, optimizer_class(parameter_groups(model), 0.05), 6)

    halfway = net()
    first = optimizer_class(parameter_groups(halfway), 0.05)
    train(halfway, first, 3)
    saved = copy.deepcopy((halfway.state_dict(), first.state_dict()))
    resumed = net()
    second = optimizer_class(parameter_groups(resumed), 0.05)
    resumed.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    train(resumed, second, 3)
    for param, again in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(param, again)


@BOTH
def test_memory_layouts_may_differ(optimizer_class: Optimizers) -> None:
    """Torch's fused kernels are wrong here and say nothing; ours must not become fused unnoticed."""
    weights = []
    for layout in (torch.channels_last, torch.contiguous_format):
        w = random(8, 4, 3, 3, seed=0).to(memory_format=torch.channels_last)
        w.grad = random(8, 4, 3, 3, seed=1).to(memory_format=layout)
        optimizer_class([w], 0.1).step()
        weights.append(w)
    torch.testing.assert_close(*weights)


@BOTH
def test_a_toy_gets_better(optimizer_class: Optimizers) -> None:
    model = net()
    losses = train(model, optimizer_class(parameter_groups(model), 0.03), 150)
    assert losses[-1] < 0.5 * losses[0]


@BOTH
def test_mistakes_are_explained(optimizer_class: Optimizers) -> None:
    with pytest.raises(UserError, match="no parameter"):
        optimizer_class([], 0.1)
    with pytest.raises(UserError, match=r"groups: there is no role 'wieght'\. Did you mean 'weight'"):
        optimizer_class([{"params": [torch.ones(1)], "role": "wieght"}], 0.1)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(UserError, match="momentum"):
        SGD([torch.ones(1)], 0.1, momentum=0.0, nesterov=True)


def test_fit_the_contract_of_their_kind() -> None:
    assert registry.load("sgd") is SGD
    assert registry.load("adamw") is AdamW
    sgd = registry.model("sgd").model_validate_json('{"exclude": []}').model_dump()
    assert sgd == {"momentum": 0.9, "weight_decay": 0.0, "nesterov": False, "exclude": ()}
    adamw = registry.model("adamw").model_validate_json('{"betas": [0.9, 0.95]}').model_dump()
    assert adamw == {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.01, "exclude": ("norm", "bias")}
    built = registry.build("adamw", adamw, groups=[torch.ones(1)], lr=0.1)
    assert math.isclose(built.param_groups[0]["betas"][1], 0.95)
