"""MINE: the two views of an image find each other among all images of the batch."""

from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F


class Mine:
    """InfoNCE (arXiv:1807.03748, eq. 4): which second view belongs to a first one is a question of n classes.

    Args:
        temperature: divides the cosines; the smaller, the more the nearest of the others count.
    """

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.2) -> None:
        self.temperature = temperature

    def __call__(self, z1: Tensor, z2: Tensor) -> Tensor:
        """The loss of projections `(n, k)`, row i of both from image i."""
        wide = torch.promote_types(z1.dtype, torch.float32)  # a network under autocast gives bf16
        with torch.autocast(z1.device.type, enabled=False):
            cosines = F.normalize(z1.to(wide)) @ F.normalize(z2.to(wide)).T  # (n, n)
            return F.cross_entropy(cosines / self.temperature, torch.arange(len(z1), device=z1.device))
