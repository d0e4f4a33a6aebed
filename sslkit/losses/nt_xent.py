"""NT-Xent: of all other views in the batch, find the one that shows the same image."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.losses.contrast import Contrast
from sslkit.losses.log_sum_exp import SameModulo, log_sum_exp
from sslkit.losses.rows import exact, row_dot, unit

Scalar = Float[Tensor, ""]


class NTXent(nn.Module):
    """The normalised, temperature-scaled cross-entropy of SimCLR (arXiv:2002.05709, eq. 1 and Algorithm 1).

    Each of the 2n views is once the anchor i. Its positive j is the other view of the same image, its negatives are the 2n - 2
    views of all other images, and s is the cosine similarity of two projections:

        l(i, j) = -log( exp(s_ij / temperature) / sum over k != i of exp(s_ik / temperature) )

    The loss is the mean of l over all 2n anchors, as in the paper. A single image has no negatives and loss 0. A row of zeros
    has no direction: it is orthogonal to every view and gets no gradient.

    Similarities are computed in float32 even under autocast, and in float64 for float64 projections. Time grows with the square
    of n, memory with n.

    Args:
        temperature: small values let the nearest negatives weigh more; the paper has 0.1 on ImageNet, 0.5 on CIFAR-10.
        normalize: cosine similarities; without it s is the plain dot product, for which the paper tries temperatures of 10 and
            100 (table 5).
        negatives: `all_views`, or `other_view`: the n - 1 views on the positive's side only, as in the paper's comparison of
            losses (B.10).
        directions: `mean` of first and second views as anchors, or their `sum` as in the authors' code, whose value and
            gradient are twice the paper's.
    """

    def __init__(
        self,
        *,
        temperature: Annotated[float, Gt(0)] = 0.1,
        normalize: bool = True,
        negatives: Literal["all_views", "other_view"] = "all_views",
        directions: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.normalize = normalize
        self.negatives = negatives
        self.directions = directions

    def forward(self, z1: Float[Tensor, "n k"], z2: Float[Tensor, "n k"]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss, and the numbers of `Contrast.metrics`; row i of both inputs comes from image i."""
        with torch.autocast(z1.device.type, enabled=False):
            rows = torch.stack((exact(z1), exact(z2))).flatten(0, 1)  # (2n, k)
            u = unit(rows) if self.normalize else rows
            u1, u2 = u.chunk(2)
            positive = (row_dot(u1, u2) / self.temperature).repeat(2)  # (2n,): s_ij = s_ji
            contrast = Contrast(len(u1), second=len(u1) if self.negatives == "all_views" else 0, like=positive.detach())
            negatives = self._all_views(u, contrast) if self.negatives == "all_views" else self._other_view(u1, u2, contrast)
            # log-sum-exp(all) - positive would be the difference of two numbers near 1 / temperature, and with easy pairs
            # nothing but rounding: so the positive stays out of the sum, and log(1 + exp(negatives - positive)) brings it in.
            anchors = torch.logaddexp(negatives - positive, torch.zeros_like(positive))
            return anchors.mean() * (2 if self.directions == "sum" else 1), contrast.metrics()

    def _all_views(self, u: Tensor, contrast: Contrast) -> Tensor:
        return log_sum_exp(u, u, temperature=self.temperature, exclude=SameModulo(len(u) // 2), visit=contrast)

    def _other_view(self, u1: Tensor, u2: Tensor, contrast: Contrast) -> Tensor:
        own = SameModulo(len(u1))
        first = log_sum_exp(u1, u2, temperature=self.temperature, exclude=own, visit=contrast)
        return torch.cat((first, log_sum_exp(u2, u1, temperature=self.temperature, exclude=own)))
