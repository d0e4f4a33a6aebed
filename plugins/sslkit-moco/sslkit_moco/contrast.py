"""Contrast: which of many is the right one, as a classification."""

import torch
from torch import Tensor
from torch.nn import functional as F


def normalised(z: Tensor) -> Tensor:
    """Projections `(n, k)` of length 1, in float32 at least: a network under autocast gives bf16."""
    return F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)))


def entropy_and_accuracy(logits: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The cross-entropy of logits `(n, m)` with targets `(n,)`, and how often the largest is the right one."""
    right = (logits.detach().argmax(dim=1) == target).float().mean()
    return F.cross_entropy(logits, target), {"contrast_accuracy": right}
