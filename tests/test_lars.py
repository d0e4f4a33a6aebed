"""LARS: equal to the authors' own code, to a slow restatement in float64 and to a case worked by hand."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.optimizers import lars, registry
from sslkit.optimizers.lars import LARS

LRS = [0.0, 0.3, 0.6, 1.2, 2.4, 0.5]  # a warm-up from zero and a fall: lr inside or outside the velocity differ


def restated(
    w: Tensor,
    grads: list[Tensor],
    *,
    lrs: list[float],
    momentum: float,
    weight_decay: float,
    excluded: bool,
    nesterov: bool,
    lr_inside: bool,
) -> Tensor:
    """The rule for one tensor, line by line."""

    def ratio(step: Tensor) -> float:
        w_norm = sum(x**2 for x in w.flatten().tolist()) ** 0.5
        step_norm = sum(x**2 for x in step.flatten().tolist()) ** 0.5
        return 1.0 if excluded or w_norm == 0 or step_norm == 0 else 0.001 * w_norm / step_norm

    v = torch.zeros_like(w)
    for g, lr in zip(grads, lrs, strict=True):
        if not excluded:
            g = g + weight_decay * w
        if lr_inside:
            rate = lr * ratio(g)
            v = momentum * v + rate * g
            w = w - (momentum * v + rate * g if nesterov else v)
        else:
            v = momentum * v + g
            u = momentum * v + g if nesterov else v
            w = w - lr * ratio(u) * u
    return w


def tensors(*shapes: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def train(optimizer: torch.optim.Optimizer, params: Iterable[Tensor], grads: list[list[Tensor]], lrs: list[float]) -> None:
    for step_grads, lr in zip(grads, lrs, strict=True):
        for param, grad in zip(params, step_grads, strict=True):
            param.grad = grad.clone()
        for group in optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        optimizer.step()


SHAPES = ((8, 3, 3, 3), (5, 4), (7,), (5,))


def example(**parameters: Any) -> tuple[LARS, list[Tensor], list[list[Tensor]]]:
    """A conv kernel and a matrix that are adapted, a norm and a bias that are not, and gradients for every lr of LRS."""
    params = tensors(*SHAPES)
    groups = [
        {"params": params[:2], "names": ["conv", "dense"], "role": "weight", "lr_scale": 1.0},
        {"params": params[2:3], "names": ["gamma"], "role": "norm", "lr_scale": 1.0},
        {"params": params[3:], "names": ["bias"], "role": "bias", "lr_scale": 1.0},
    ]
    grads = [tensors(*SHAPES, seed=1 + step) for step in range(len(LRS))]
    return LARS(groups, 1.0, **parameters), params, grads


@pytest.mark.parametrize("case", range(5))
def test_agrees_with_the_official_code_at_every_step(shared: Path, case: int) -> None:
    golden = np.load(shared / "golden" / "lars.npz")

    def read(key: str) -> Any:
        return golden[f"{case}_{key}"]

    roles = ["weight", "weight", "norm", "bias", "weight"]  # as `names` in the file says
    params = [torch.from_numpy(read(f"w{k}_0").copy()) for k in range(5)]
    optimizer = LARS(
        [{"params": [param], "role": role} for param, role in zip(params, roles, strict=True)],
        1.0,
        weight_decay=float(read("weight_decay")),
        nesterov=bool(read("nesterov")),
        lr_inside_momentum=bool(read("lr_inside_momentum")),
    )
    for step, lr in enumerate(read("lr").tolist()):
        train(optimizer, params, [[torch.from_numpy(read(f"g{k}_{step}")) for k in range(5)]], [lr])
        for k, param in enumerate(params):
            right = read(f"w{k}_{step + 1}")
            np.testing.assert_allclose(param.numpy(), right, rtol=1e-5, atol=1e-5 * float(np.abs(right).max()), err_msg=str(k))


@settings(max_examples=30, deadline=None)
@given(
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    weight_decay=st.sampled_from([0.0, 1e-6, 0.1]),
    nesterov=st.booleans(),
    lr_inside=st.booleans(),
    exclude=st.sampled_from([(), ("norm", "bias"), ("bias",), ("weight",)]),
)
def test_equals_the_restatement(
    momentum: float, weight_decay: float, nesterov: bool, lr_inside: bool, exclude: tuple[Any, ...]
) -> None:
    optimizer, params, grads = example(
        momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, lr_inside_momentum=lr_inside, exclude=exclude
    )
    train(optimizer, params, grads, LRS)
    for k, (start, role) in enumerate(zip(tensors(*SHAPES), ["weight", "weight", "norm", "bias"], strict=True)):
        right = restated(
            start,
            [step[k] for step in grads],
            lrs=LRS,
            momentum=momentum,
            weight_decay=weight_decay,
            excluded=role in exclude,
            nesterov=nesterov,
            lr_inside=lr_inside,
        )
        torch.testing.assert_close(params[k], right, rtol=1e-12, atol=1e-13)


def test_by_hand() -> None:
    """|w| = 5, g + 0.1 w = (0.9, 1.2) with norm 1.5, ratio 0.001 * 5 / 1.5: the step is (0.003, 0.004)."""
    w, excluded, g = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.0]), torch.tensor([0.6, 0.8])
    optimizer = LARS([{"params": [w], "role": "weight"}, {"params": [excluded], "role": "norm"}], 1.0, weight_decay=0.1)
    train(optimizer, [w, excluded], [[g, g]], [1.0])
    torch.testing.assert_close(w, torch.tensor([2.997, 3.996]))
    torch.testing.assert_close(excluded, torch.tensor([2.4, 3.2]))  # w - g
    train(optimizer, [w, excluded], [[g, g]], [1.0])
    torch.testing.assert_close(w, torch.tensor([2.991303, 3.988404]))
    torch.testing.assert_close(optimizer.state[w]["momentum_buffer"], torch.tensor([0.005697, 0.007596]))


@given(st.floats(1e-6, 1e6))
def test_the_scale_of_a_gradient_does_not_matter(scale: float) -> None:
    """Without decay too: a first step is the fraction lr * trust_coefficient of the weight's norm."""
    (w,), (g,) = tensors((4, 3)), tensors((4, 3), seed=1)
    before = w.clone()
    train(LARS([w], 1.0, weight_decay=0.0, trust_coefficient=0.01), [w], [[scale * g]], [0.5])
    torch.testing.assert_close((w - before).norm(), 0.005 * before.norm())
    torch.testing.assert_close((before - w) / (before - w).norm(), g / g.norm())


@pytest.mark.parametrize("lr_inside", [True, False])
def test_a_tensor_of_norm_zero_has_ratio_one(lr_inside: bool) -> None:
    zero, still = torch.zeros(2), torch.ones(2)
    optimizer = LARS([zero, still], 1.0, weight_decay=0.0, lr_inside_momentum=lr_inside)
    train(optimizer, [zero, still], [[torch.tensor([3.0, 4.0]), torch.zeros(2)]], [0.1])
    torch.testing.assert_close(zero, torch.tensor([-0.3, -0.4]))
    torch.testing.assert_close(still, torch.ones(2))


@pytest.mark.parametrize("parameters", [{}, {"nesterov": True}, {"lr_inside_momentum": False}])
def test_the_same_bits_twice_and_after_resuming(parameters: dict[str, Any]) -> None:
    optimizer, params, grads = example(**parameters)
    train(optimizer, params, grads, LRS)

    first, halfway, _ = example(**parameters)
    train(first, halfway, grads[:3], LRS[:3])
    saved_state, saved_params = copy.deepcopy(first.state_dict()), [p.clone() for p in halfway]
    second, resumed, _ = example(**parameters)
    for param, saved in zip(resumed, saved_params, strict=True):
        param.copy_(saved)
    second.load_state_dict(saved_state)
    train(second, resumed, grads[3:], LRS[3:])

    for param, again in zip(params, resumed, strict=True):
        assert torch.equal(param, again)
    assert set(second.state_dict()["state"][0]) == {"momentum_buffer"}


def test_one_tensor_at_a_time_equals_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes tensors one by one, other devices take all of a group together."""
    optimizer, params, grads = example(nesterov=True)
    train(optimizer, params, grads, LRS)
    monkeypatch.setattr(lars, "_batched", lambda params: [list(params)])
    together, again, _ = example(nesterov=True)
    train(together, again, grads, LRS)
    assert all(torch.equal(param, other) for param, other in zip(params, again, strict=True))


@pytest.mark.parametrize("parameters", [{}, {"nesterov": True}, {"lr_inside_momentum": False}])
def test_nothing_waits_for_the_device(parameters: dict[str, Any]) -> None:
    """A tensor on the meta device has no values: whatever asks for one raises."""
    params = [torch.empty(4, 3, device="meta"), torch.empty(2, 2, device="meta"), torch.empty(4, device="meta")]
    assert [len(batch) for batch in lars._batched(params)] == [3]
    groups: list[dict[str, Any]] = [{"params": params[:2]}, {"params": params[2:], "role": "bias"}]
    optimizer = LARS(groups, 1.0, **parameters)
    train(optimizer, params, [[torch.empty_like(p) for p in params]] * 2, [0.1, 0.2])
    with pytest.raises(RuntimeError):
        params[0].norm().item()  # the check can fail


@pytest.mark.parametrize("which", ["param", "grad", "buffer"])
def test_memory_layouts_may_differ(which: str) -> None:
    """A channels-last kernel may get a gradient, or a loaded buffer, of the default layout.

    A buffer's layout changes not a bit; the others are summed up in another order for their norms.
    """

    def run(odd: str | None) -> Tensor:
        layouts = {"param": torch.channels_last, "grad": torch.channels_last, "buffer": torch.channels_last}
        layouts |= {odd: torch.contiguous_format} if odd else {}
        w, g, v = (
            x.to(memory_format=layout)
            for x, layout in zip(tensors(*[(13, 7, 3, 3)] * 3, dtype=torch.float32), layouts.values(), strict=True)
        )
        optimizer = LARS([w], 1.0, weight_decay=0.01)
        optimizer.state[w]["momentum_buffer"] = v.clone(memory_format=torch.preserve_format)
        w.grad = g
        optimizer.step()
        return w

    torch.testing.assert_close(run(which), run(None), rtol=1e-6, atol=1e-7)
    assert which != "buffer" or torch.equal(run(which), run(None))


def test_a_toy_gets_better() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1))
    x = torch.randn(256, 8)
    y = x[:, :1] * x[:, 1:2]
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups: list[dict[str, Any]] = [{"params": weights, "lr_scale": 20.0}, {"params": others, "role": "norm"}]
    optimizer = LARS(groups, 0.05)
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_scale"]

    def closure() -> float:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    losses = [optimizer.step(closure) for _ in range(300)]
    assert losses[-1] < 0.5 * losses[0]


def test_parameters_without_gradient_stay() -> None:
    (w, idle) = tensors((3,), (3,))
    before = idle.clone()
    w.grad = torch.ones_like(w)
    optimizer = LARS([w, idle], 1.0, weight_decay=0.5)
    optimizer.step()
    assert torch.equal(idle, before)
    assert idle not in optimizer.state


def test_sparse_gradients_are_refused() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(UserError, match="sparse"):
        LARS(table.parameters(), 1.0).step()


def test_fits_the_contract_of_its_kind() -> None:
    assert registry.load("lars") is LARS
    section = registry.model("lars").model_validate_json('{"weight_decay": 0, "exclude": ["bias"]}')
    assert section.model_dump() == {
        "momentum": 0.9,
        "weight_decay": 0.0,
        "trust_coefficient": 0.001,
        "nesterov": False,
        "lr_inside_momentum": True,
        "exclude": ("bias",),
    }
