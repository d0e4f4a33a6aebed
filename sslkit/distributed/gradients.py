"""Gradients: averaged over ranks, in one fixed order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import torch
from torch import Tensor, nn
from torch import distributed as dist

from sslkit.distributed.ranks import num_ranks


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the gradient of every parameter by its mean over ranks.

    All gradients of a type travel in one tensor, in the order of the parameters. So each sum is taken in the same order in
    every step, the first after a resume too: torch's DistributedDataParallel rearranges its buckets after its first step, and
    with three ranks or more a resumed training differs from one that never stopped. A parameter that no rank has a gradient of
    keeps none, so that no optimizer decays it; one that some ranks have a gradient of counts as zero on the others.
    """
    if num_ranks() == 1:
        return
    trained = sorted((one for one in parameters if one.requires_grad), key=_kind)
    for _, alike in groupby(trained, key=_kind):
        _average(list(alike))


def _kind(parameter: nn.Parameter) -> tuple[str, str]:
    return str(parameter.device), str(parameter.dtype)


def _average(parameters: list[nn.Parameter]) -> None:
    gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
    known = gradients[0].new_tensor([one.grad is not None for one in parameters])
    flat = torch.cat([known, *(gradient.flatten() for gradient in gradients)])
    dist.all_reduce(flat)
    sums = iter(torch.split(flat[len(parameters) :].div_(num_ranks()), [one.numel() for one in parameters]))
    for parameter, has in zip(parameters, flat[: len(parameters)].tolist(), strict=True):
        mean: Tensor = next(sums).view_as(parameter)
        if not has:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(mean)
