"""Components that go wrong on purpose, for what a run says then."""

import torch
from torch import nn

import sslkit
from sslkit.distributed.ranks import rank
from sslkit.loader import Plan
from sslkit.losses.nt_xent import NTXent
from sslkit.registry import registry_of

AT = 5  # the step that fails, from 1: in the second of three epochs of three steps
_IMAGES = Plan(60, 16, 0).indices(AT - 1).tolist()  # its images, in their order; no other step of the run has these


class Breaking(nn.Module):
    """NT-Xent, but for one batch: there `value` is infinite, or `gradient`, while the value stays finite."""

    min_views = 2

    def __init__(self, *, what: str = "value"):
        super().__init__()
        self.inner, self.what = NTXent(), what

    def forward(self, zs, indices):
        loss, scalars = self.inner(zs)
        if indices.tolist() != _IMAGES:
            return loss, scalars
        if self.what == "value":
            return loss * torch.inf, {**scalars, "contrast_entropy": scalars["contrast_entropy"] * torch.nan}
        return loss + torch.sqrt(zs[0][3].sum() * 0), scalars  # the slope of the root at 0 is infinite


class Constant(nn.Module):
    """One z for all images; with `of_rank` one a rank."""

    out_dim = 8

    def __init__(self, in_dim: int, *, of_rank: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(in_dim, 8))
        self.at = rank() if of_rank else 0

    def forward(self, h):
        return torch.eye(8)[self.at] + h @ (self.weight * 0)


class Poisoned(nn.Module):
    """A linear head whose gradient is not a number on the last of two ranks, and is on the other."""

    out_dim = 8

    def __init__(self, in_dim: int):
        super().__init__()
        self.linear = nn.Linear(in_dim, 8)

    def forward(self, h):
        z = self.linear(h)
        if z.requires_grad and rank() == 1:
            z.register_hook(lambda gradient: gradient * torch.nan)
        return z


def register():
    """Make them known in this process, until `forget`."""
    sslkit.register("losses", "breaking")(Breaking)
    sslkit.register("heads", "constant")(Constant)
    sslkit.register("heads", "poisoned")(Poisoned)


def forget():
    for kind in ("losses", "heads"):
        registry_of(kind)._registered.clear()
