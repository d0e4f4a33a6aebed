"""BYOL: a network predicts, for one view, what a slowly following copy of itself says of the other."""

import copy
import math
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from sslkit_byol.prediction import mean_cosine, predictor


class BYOL(nn.Module):
    """Bootstrap your own latent (arXiv:2006.07733, section 3).

    The loss is `2 - 2 cos(q(g(f(x1))), g'(f'(x2)))` (eq. 2) plus the same with the views exchanged, the mean over the batch.
    The target f', g' gets no gradient: after each step its weights become `tau * theirs + (1 - tau) * ours`, and tau rises from
    its beginning to 1 along a cosine over the training (section 3.2).

    Each view has a forward pass of its own, so that batch norm sees one view at a time, as in the authors' code. There as here
    the target's batch norms use the statistics of the batch.

    Args:
        backbone: the encoder f.
        head: the projection g; the paper's has one hidden layer of 4,096 and 256 outputs.
        hidden_dim: width of the predictor q.
        tau: how much of the target stays in the first step.
    """

    num_views = 2

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        hidden_dim: Annotated[int, Gt(0)] = 4096,
        tau: Annotated[float, Ge(0), Le(1)] = 0.996,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.predictor = predictor(head.out_dim, hidden_dim)
        self.target = copy.deepcopy(nn.Sequential(backbone, head)).requires_grad_(False)
        self.tau = tau

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Predictions of both views, then targets of both, each `(n, k)`."""
        predictions = [self.predictor(self.head(self.backbone(view))) for view in views]
        with torch.no_grad():
            targets = [self.target(view) for view in views]
        return (*predictions, *targets)

    def objective(self, *outputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the mean cosine of predictions and targets."""
        p1, p2, target1, target2 = outputs
        cosine = (mean_cosine(p1, target2) + mean_cosine(p2, target1)) / 2
        return 4 - 4 * cosine, {"target_cosine": cosine.detach()}

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """The target follows; `progress` is the share of the training that is done, in (0, 1]."""
        tau = 1 - (1 - self.tau) * (math.cos(math.pi * progress) + 1) / 2
        ours = [*self.backbone.parameters(), *self.head.parameters()]
        for theirs, own in zip(self.target.parameters(), ours, strict=True):
            theirs.lerp_(own.to(theirs.dtype), 1 - tau)
