"""MINE: two views, of which each looks for the other."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Mine(nn.Module):
    """The mean of the loss from the first view to the second and from the second to the first (arXiv:2002.05709, algorithm 1).

    Args:
        backbone: the encoder f.
        head: the projection head g.
        loss: takes `z1` and `z2`, and gives a scalar.
    """

    num_views = 2

    def __init__(self, backbone: nn.Module, head: nn.Module, loss: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.loss = loss

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projections `(n, k)` of each view; run in slices and on ranks, so it looks at no other image."""
        return tuple(self.head(self.backbone(torch.cat(list(views)))).chunk(len(views)))

    def objective(self, *zs: Tensor, labels: Any = None, indices: Any = None) -> tuple[Tensor, dict[str, Tensor]]:  # noqa: ARG002
        """The loss of the whole batch, and numbers to be logged."""
        z1, z2 = zs
        there, back = (self.loss(z1, z2), self.loss(z2, z1))
        return (there + back) / 2, {"one_way": there.detach()}
