"""SupCon: the contrastive loss with labels, where all images of a class are positives of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import OtherLabel, SameLabel
from sslkit.losses.log_sum_exp import log_sum_exp
from sslkit.losses.rows import exact, mean_where, row_dot, rows_at, softplus, stacked, unit

Scalar = Float[Tensor, ""]


class SupCon(nn.Module):
    """Supervised contrastive learning (arXiv:2004.11362, eq. 2 and 3).

    For an anchor i among all views, A(i) are all other views and P(i) those of them that are of its class:

        L_out(i) = -mean over p in P(i) of log( exp(s_ip / temperature) / sum over a in A(i) of exp(s_ia / temperature) )
        L_in(i)  = -log( mean over p in P(i) of exp(s_ip / temperature) / sum over a in A(i) of exp(s_ia / temperature) )

    The loss is the mean over all anchors that have a positive; the paper adds them up. With each image a class of its own it is
    `nt_xent`. The authors' code also multiplies by temperature / 0.07, which moves the learning rate only. Every label is a
    class; none means "unknown", -1 neither.

    Similarities are cosines, in float32 even under autocast. Time grows with the square of n, memory with n: means of
    similarities over a class are similarities to the sum of the class.

    Args:
        temperature: the paper's results have 0.1.
        mean: `out` of the logarithm, which the paper recommends (78.7 against 67.4 on ImageNet, table 1), or `in` it.
    """

    min_views = 1

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.1, mean: Literal["out", "in"] = "out") -> None:
        super().__init__()
        self.temperature = temperature
        self.mean = mean

    def forward(self, zs: Sequence[Float[Tensor, "n k"]], labels: Int64[Tensor, " n"]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss of any number of views, and, of two or more, the numbers of `Contrast.metrics`.

        Raises:
            UserError: a gradient of the gradient is asked for: beyond a few thousand pairs, tile by tile, there is none.
        """
        order = labels.argsort(stable=True)  # so that the tiles with positives are few
        zs = [z[order] for z in zs]
        rows = exact(zs[0]) if len(zs) == 1 else stacked(zs)
        classes = labels[order].repeat(len(zs))  # (v n,)
        with torch.autocast(rows.device.type, enabled=False):
            u = unit(rows)  # (v n, k)
            contrast = Contrast(len(labels), second=len(labels), like=u.detach()) if len(zs) > 1 else None
            negatives = log_sum_exp(u, u, temperature=self.temperature, exclude=SameLabel(classes), visit=contrast)
            positives = log_sum_exp(u, u, temperature=self.temperature, exclude=OtherLabel(classes))
            _, ids, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
            number = (sizes[ids] - 1).to(u.dtype)  # (v n,): positives of each anchor
            if self.mean == "out":
                gap = positives - _mean_positive(u, ids, sizes) / self.temperature
            else:
                gap = number.clamp(min=1).log()
            # log-sum-exp(all) - positives = log(1 + exp(negatives - positives)), without the cancellation of easy pairs; a
            # single positive is its own mean, and in floating point the gradient of that 0 is not 0.
            anchors = softplus(negatives - positives.masked_fill(number == 0, 0)) + torch.where(number > 1, gap, 0)
            return mean_where(anchors, number > 0), {} if contrast is None else contrast.metrics()


def _mean_positive(u: Float[Tensor, "m k"], ids: Int64[Tensor, " m"], sizes: Int64[Tensor, " c"]) -> Float[Tensor, " m"]:
    """Mean similarity of each row to the others of its class, ids[i] of `sizes`; 0 where there are none."""
    sums = u.new_zeros(len(sizes), u.shape[1]).index_add(0, ids, u)  # (c, k)
    return (row_dot(u, rows_at(sums, ids)) - row_dot(u, u)) / (sizes[ids] - 1).clamp(min=1)
