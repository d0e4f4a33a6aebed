"""Whether several processes have the loss and the gradients of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sslkit import gradient
from sslkit.distributed.batch_norm import with_global_norm
from sslkit.distributed.ranks import share
from sslkit.testing.ranks import on_ranks
from sslkit.testing.subject import Subject

_N, _TOLERANCE = 7, 1e-9  # images, so that two processes have uneven shares


class _Batch(NamedTuple):
    views: list[Tensor]
    labels: Tensor
    indices: Tensor


def backbone() -> nn.Module:
    """A small network with batch norm: images `(n, 3, 6, 6)` -> `(n, 8)`."""
    made = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made.out_dim = 8  # type: ignore[assignment]
    return made


def head() -> nn.Module:
    """A linear head `(n, 8)` -> `(n, 6)`."""
    made = nn.Linear(8, 6)
    made.out_dim = 6  # type: ignore[assignment]
    return made


def assert_as_one(build: Callable[[Subject], Any], subject: Subject) -> None:
    """AssertionError if two processes have another loss or other gradients than one.

    Args:
        build: a function of a module, subject -> method; it is called in each process.
        subject: what is checked.
    """
    ((loss, gradients),) = on_ranks(1, _gradients, build, subject)
    for theirs, found in on_ranks(2, _gradients, build, subject):
        assert abs(theirs - loss) <= _TOLERANCE * max(1.0, abs(loss)), f"the loss is {loss} in one process, {theirs} in two."
        largest = max(float(one.abs().max()) for one in gradients.values())
        for name, one in gradients.items():
            off = float((found[name] - one).abs().max())
            assert off <= _TOLERANCE * largest, f"the gradient of {name} differs by {off:.2g}, the largest is {largest:.2g}."


def _gradients(build: Callable[[Subject], Any], subject: Subject) -> tuple[float, dict[str, Tensor]]:
    method = with_global_norm(build(subject).double().train())
    drawn = torch.Generator().manual_seed(1)
    rows = share(slice(0, _N))
    num_views = max(getattr(method, "num_views", None) or 2, getattr(method, "min_views", 1))
    views = [torch.rand(_N, 3, 6, 6, generator=drawn, dtype=torch.float64)[rows] for _ in range(num_views)]
    batch = _Batch(views, (torch.arange(_N) % 3)[rows], torch.arange(_N)[rows])
    loss, _ = gradient.whole(method, batch, 0, seed=0, device=torch.device("cpu"), precision="fp32")
    named = method.named_parameters()
    return float(loss), {name: torch.zeros_like(one) if one.grad is None else one.grad for name, one in named}
