"""DCL: NT-Xent without the positive in its denominator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import SameModulo
from sslkit.losses.log_sum_exp import log_sum_exp
from sslkit.losses.rows import stacked, unit, with_own_image

Scalar = Float[Tensor, ""]


class DCL(nn.Module):
    """The decoupled contrastive loss (arXiv:2110.06848, eq. 6).

    In NT-Xent a pair that is found easily also weakens the push from the negatives of its anchor, most where negatives are few.
    Leaving the positive j out of the denominator decouples the two:

        l(i, j) = -s_ij / temperature + log( sum over k of exp(s_ik / temperature) ), k over the views of all other images

    The loss is the mean over all anchors and their positives; the paper adds them up. It has no lower bound of 0. Similarities
    are cosines, in float32 even under autocast. Time grows with the square of n, memory with n.

    Args:
        temperature: small values let the nearest negatives weigh more; the paper has 0.1 on ImageNet, 0.07 on CIFAR-10.
    """

    min_views = 2

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, zs: Sequence[Float[Tensor, "n k"]]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss of two or more views, and the numbers of `Contrast.metrics`; row i of every view comes from image i.

        Raises:
            UserError: a single image, which has no negatives, or a single view. Or a gradient of the gradient is asked for:
                beyond a few thousand pairs, tile by tile, there is none.
        """
        rows, views = stacked(zs), len(zs)
        n = len(rows) // views
        if n == 1:
            raise UserError("dcl: has no value for a single image, which has no negatives.")
        with torch.autocast(rows.device.type, enabled=False):
            u = unit(rows)  # (v n, k)
            positives = with_own_image(u, views=views) / self.temperature  # (v n, v - 1)
            contrast = Contrast(n, second=n, like=u.detach())
            negatives = log_sum_exp(u, u, temperature=self.temperature, exclude=SameModulo(n), visit=contrast)
            return (negatives - positives.mean(dim=1)).mean(), contrast.metrics()
