"""Prediction: the network that predicts one view's output from another's, and how far it is off."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def predictor(dim: int, hidden_dim: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear: `(n, dim)` -> `(n, dim)`."""
    return nn.Sequential(
        nn.Linear(dim, hidden_dim, bias=False), nn.BatchNorm1d(hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, dim)
    )


def mean_cosine(p: Tensor, target: Tensor) -> Tensor:
    """The mean cosine of predictions `(n, k)` and what they should be; no gradient goes to the targets."""
    wide = torch.promote_types(p.dtype, torch.float32)  # a network under autocast gives bf16
    return F.cosine_similarity(p.to(wide), target.detach().to(wide), dim=1).mean()
