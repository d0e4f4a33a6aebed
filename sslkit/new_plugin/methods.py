"""MINE: two views, of which each looks for the other."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torch.nn import functional as F


class Mine(nn.Module):
    """Which second view belongs to a first one, and the other way round (InfoNCE, arXiv:1807.03748, eq. 4, in both directions).

    It has its own loss. A method that leaves it to the recipe takes `loss` behind `head`.

    Args:
        backbone: the encoder f.
        head: the projection head g.
        temperature: divides the cosines.
    """

    num_views = 2

    def __init__(self, backbone: nn.Module, head: nn.Module, *, temperature: Annotated[float, Gt(0)] = 0.2) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.temperature = temperature

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projections `(n, k)` of each view; run in slices and on ranks, so it looks at no other image."""
        return tuple(self.head(self.backbone(torch.cat(list(views)))).chunk(len(views)))

    def objective(self, *zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the whole batch, and numbers to be logged."""
        wide = torch.promote_types(zs[0].dtype, torch.float32)  # a network under autocast gives bf16
        u1, u2 = (F.normalize(z.to(wide)) for z in zs)
        with torch.autocast(u1.device.type, enabled=False):
            cosines = u1 @ u2.T  # (n, n)
            own = torch.arange(len(u1), device=u1.device)
            there, back = (F.cross_entropy(one / self.temperature, own) for one in (cosines, cosines.T))
        return (there + back) / 2, {"own_cosine": cosines.detach().diagonal().mean()}
