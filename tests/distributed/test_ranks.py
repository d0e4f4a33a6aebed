"""Ranks: shares, agreement, and averages of gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sslkit.distributed.gather import gather
from sslkit.distributed.gradients import average_gradients
from sslkit.distributed.ranks import group, num_ranks, rank, share_of
from sslkit.errors import UserError
from sslkit.testing.ranks import on_ranks


@given(start=st.integers(0, 50), length=st.integers(0, 100), num_ranks=st.integers(1, 9))
def test_shares_follow_each_other_and_are_as_equal_as_can_be(start: int, length: int, num_ranks: int) -> None:
    shares = [share_of(slice(start, start + length), one, num_ranks) for one in range(num_ranks)]
    assert [row for one in shares for row in range(one.start, one.stop)] == list(range(start, start + length))
    sizes = [one.stop - one.start for one in shares]
    assert max(sizes) - min(sizes) <= 1


def test_one_process_is_the_only_rank() -> None:
    with group():
        assert (num_ranks(), rank()) == (1, 0)


@pytest.mark.fault(
    "variables of torchrun without torchrun",
    injected="some of them set",
    expected="refused, with the names of the missing",
    theme="several processes",
)
def test_variables_of_torchrun_that_are_there_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="WORLD_SIZE is 2, and RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"), group():
        pass


def gathered() -> dict[str, Any]:
    """Rank r holds r + 1 rows of the number r; the loss of every rank weighs row i of all by i."""
    rows = torch.full((rank() + 1, 2), float(rank()), requires_grad=True)
    everything = gather(rows)
    (everything * torch.arange(len(everything)).view(-1, 1)).sum().backward()
    return {"all": everything.detach(), "integers": gather(torch.tensor([rank()])), "gradient": rows.grad}


def test_gather_by_hand() -> None:
    """With two ranks each row's weight counts twice, once for each rank's loss."""
    first, second = on_ranks(2, gathered)
    assert first["all"].tolist() == second["all"].tolist() == [[0, 0], [1, 1], [1, 1]]
    assert first["integers"].tolist() == [0, 1]
    assert first["gradient"].tolist() == [[0, 0]]
    assert second["gradient"].tolist() == [[2, 2], [4, 4]]


def averaged() -> list[Any]:
    parameters = [nn.Parameter(torch.zeros(2), requires_grad=number != 3) for number in range(4)]
    parameters.append(nn.Parameter(torch.zeros(1, dtype=torch.float64)))
    parameters[0].grad = torch.tensor([1.0, 2.0]) * (rank() + 1)
    if rank() == 1:
        parameters[1].grad = torch.tensor([6.0, 8.0])
    parameters[4].grad = torch.tensor([float(rank())], dtype=torch.float64)
    average_gradients(parameters)
    return [None if one.grad is None else one.grad.tolist() for one in parameters]


def test_averages_by_hand() -> None:
    """The second has a gradient on one rank only, the third on none, the fourth is not trained, the last is of another type."""
    assert on_ranks(2, averaged) == [[[1.5, 3.0], [3.0, 4.0], None, None, [0.5]]] * 2
