"""NT-Xent: of all other views in the batch, find the one that shows the same image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import SameModulo
from sslkit.losses.log_sum_exp import log_sum_exp
from sslkit.losses.rows import softplus, stacked, unit, with_own_image

Scalar = Float[Tensor, ""]


class NTXent(nn.Module):
    """The normalised, temperature-scaled cross-entropy of SimCLR (arXiv:2002.05709, eq. 1 and Algorithm 1).

    Each of the 2n views is once the anchor i. Its positive j is the other view of the same image, its negatives are the 2n - 2
    views of all other images, and s is the cosine similarity of two projections:

        l(i, j) = -log( exp(s_ij / temperature) / sum over k != i of exp(s_ik / temperature) )

    The loss is the mean of l over all 2n anchors, as in the paper. With more than two views it is the mean over all anchors and
    all their positives. A single image in two views has no negatives and loss 0. A row of zeros has no direction: it is
    orthogonal to every view and gets no gradient.

    Similarities are computed in float32 even under autocast, and in float64 for float64 projections. Time grows with the square
    of n, memory with n.

    Args:
        temperature: small values let the nearest negatives weigh more; the paper has 0.1 on ImageNet, 0.5 on CIFAR-10.
        normalize: cosine similarities; without it s is the plain dot product, for which the paper tries temperatures of 10 and
            100 (table 5).
        negatives: `all_views`, or `other_view`: the n - 1 views on the positive's side only, as in the paper's comparison of
            losses (B.10).
        directions: `mean` of first and second views as anchors, or their `sum` as in the authors' code, whose value and
            gradient are twice the paper's (with v views v times).
    """

    min_views = 2

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

    def forward(self, zs: Sequence[Float[Tensor, "n k"]]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss of two or more views, and the numbers of `Contrast.metrics`; row i of every view comes from image i.

        Raises:
            UserError: a single view. Or a gradient of the gradient is asked for: beyond a few thousand pairs, tile by tile,
                there is none.
        """
        rows, views = stacked(zs), len(zs)
        n = len(rows) // views
        with torch.autocast(rows.device.type, enabled=False):
            u = unit(rows) if self.normalize else rows  # (v n, k)
            positives = with_own_image(u, views=views) / self.temperature  # (v n, v - 1)
            if self.negatives == "all_views":
                contrast = Contrast(n, second=n, like=u.detach())
                sums = log_sum_exp(u, u, temperature=self.temperature, exclude=SameModulo(n), visit=contrast)
                anchors = _all_views(sums, positives)
            else:
                contrast = Contrast(n, second=0, like=u.detach())
                anchors = softplus(_of_other_views(u.chunk(views), temperature=self.temperature, contrast=contrast) - positives)
            mean = anchors.mean()
            return (mean if self.directions == "mean" else views * mean), contrast.metrics()


def _all_views(negatives: Float[Tensor, " m"], positives: Float[Tensor, "m p"]) -> Float[Tensor, " m"]:
    """Mean over the positives of log-sum-exp(negatives and positives) - positive.

    Computed so, it would be the difference of two numbers near 1 / temperature, and with easy pairs nothing but rounding. So
    the positives stay out of the sum, and log(1 + exp(negatives - positives)) brings them in.
    """
    if positives.shape[1] == 1:
        return softplus(negatives - positives[:, 0])  # what else follows is 0, and in floating point its gradient is not
    together = positives.logsumexp(dim=1)
    return softplus(negatives - together) + together - positives.mean(dim=1)


def _of_other_views(us: Sequence[Tensor], *, temperature: float, contrast: Contrast) -> Tensor:
    """For each anchor and each other view its sum over that view of the other images, ordered as `with_own_image` does."""
    exclude = SameModulo(len(us[0]))
    columns = []
    for i, anchors in enumerate(us):
        sums = [
            log_sum_exp(anchors, other, temperature=temperature, exclude=exclude, visit=contrast if (i, j) == (0, 1) else None)
            for j, other in enumerate(us)
            if j != i
        ]
        columns.append(torch.stack(sums, dim=1))
    return torch.cat(columns)  # (v n, v - 1)
