"""Global batch norm: equal to torch's own over the whole batch, for every share, type and layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sslkit.distributed.batch_norm import GlobalBatchNorm, with_global_norm
from sslkit.distributed.ranks import share
from sslkit.errors import ContractError
from sslkit.testing.ranks import on_ranks


def network(case: str) -> nn.Module:
    torch.manual_seed(0)
    norm = {
        "1d": lambda: nn.BatchNorm1d(5),
        "2d": lambda: nn.BatchNorm2d(5),
        "3d": lambda: nn.BatchNorm3d(5),
        "plain": lambda: nn.BatchNorm2d(5, affine=False),
        "no running": lambda: nn.BatchNorm2d(5, track_running_stats=False),
        "cumulative": lambda: nn.BatchNorm2d(5, momentum=None),
    }[case]()
    if norm.affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return nn.Sequential(norm).double()


def images(case: str, *, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    shape = {"1d": (7, 5), "3d": (7, 5, 2, 3, 3)}.get(case, (7, 5, 4, 3))
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype) * 3 + 100
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def passes(case: str) -> dict[str, Any]:
    """Two passes in training, one in eval mode: outputs, gradients (of a loss that is a sum over images), buffers."""
    module = with_global_norm(network(case))
    outputs, inputs = [], []
    x = images(case)
    rows = share(slice(0, len(x)))
    for number in range(2):
        one = (x[rows] * (number + 1)).detach().requires_grad_()
        y = module(one)
        (y**3 * torch.arange(rows.start, rows.stop).view(-1, *[1] * (x.ndim - 1))).sum().backward()
        outputs.append(y.detach())
        inputs.append(one.grad)
    seen = module.eval()(x[rows]).detach()
    return {
        "rows": [*outputs, *inputs, seen],
        "summed": [one.grad for one in module.parameters()],
        "state": dict(module.state_dict()),
    }


@pytest.mark.parametrize("num_ranks", [2, 3])
@pytest.mark.parametrize("case", ["1d", "2d", "3d", "plain", "no running", "cumulative"])
def test_equals_batch_norm_of_the_whole_batch(case: str, num_ranks: int) -> None:
    alone = passes(case)
    found = on_ranks(num_ranks, passes, case)
    for number, expected in enumerate(alone["rows"]):
        together = torch.cat([one["rows"][number] for one in found])
        assert (together - expected).norm() <= 1e-11 * expected.norm(), number
    for number, expected in enumerate(alone["summed"]):
        assert torch.allclose(sum(one["summed"][number] for one in found), expected, rtol=1e-10)
    for one in found:
        assert one["state"].keys() == alone["state"].keys()
        for name, expected in alone["state"].items():
            assert torch.allclose(one["state"][name].double(), expected.double(), rtol=1e-12, atol=0), name


def by_hand() -> list[float]:
    module = with_global_norm(nn.BatchNorm1d(1, eps=0.0, affine=False))
    x = torch.tensor([[0.0], [2.0]]) if share(slice(0, 2)).start == 0 else torch.tensor([[4.0], [6.0]])
    return module(x).flatten().tolist()


def test_a_case_by_hand() -> None:
    """0, 2 | 4, 6: the mean is 3 and the variance 5, where the ranks' own are 1 and 5, and 1 each."""
    first, second = on_ranks(2, by_hand)
    assert first + second == pytest.approx([value / 5**0.5 for value in (-3, -1, 1, 3)])


def in_half(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    module = with_global_norm(nn.Sequential(nn.Conv2d(5, 5, 1), nn.BatchNorm2d(5)))
    rows = share(slice(0, 7))
    x = images("2d", dtype=torch.float32)[rows] - 100
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = module(x)
    (y.float() ** 3 * torch.arange(rows.start, rows.stop).view(-1, 1, 1, 1)).sum().backward()
    return y.detach(), module[0].weight.grad


def test_under_autocast_it_stays_near_float32() -> None:
    """bf16 has eight bits: a relative error of 2^-9 in each number."""
    exact, rounded = (on_ranks(2, in_half, dtype) for dtype in (torch.float32, torch.bfloat16))
    for (y, gradient), (near, by_near) in zip(exact, rounded, strict=True):
        assert near.dtype == torch.bfloat16
        assert (near.float() - y).norm() < 0.01 * y.norm()
        assert (by_near - gradient).norm() < 0.03 * gradient.norm()


class OwnKind(nn.BatchNorm2d):
    """A batch norm that some library has derived."""


def converted() -> str:
    kept = nn.Sequential(nn.BatchNorm2d(3), nn.LayerNorm(3))
    assert [type(one) for one in with_global_norm(kept)] == [GlobalBatchNorm, nn.LayerNorm]
    assert isinstance(with_global_norm(nn.BatchNorm1d(3)), GlobalBatchNorm)
    try:
        with_global_norm(nn.Sequential(OwnKind(3)))
    except ContractError as error:
        return str(error)
    return "accepted"


def test_a_batch_norm_of_another_kind_is_refused() -> None:
    assert set(on_ranks(2, converted)) == {
        "0: OwnKind is a batch norm of its own kind, and its statistics would be those of one rank. "
        "Train it in one process, or use torch.nn.BatchNorm2d."
    }
