"""NT-Logistic: each pair of views by itself, same image or not, as logistic regression."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import SameModulo, left_out
from sslkit.losses.pair_sum import pair_sum
from sslkit.losses.rows import exact, mean_where, row_dot, softplus, unit
from sslkit.losses.semi_hard import Mining, semi_hard_of_both
from sslkit.losses.tiles import OnTile

Scalar = Float[Tensor, ""]


class NTLogistic(nn.Module):
    """The logistic loss of SimCLR's comparison (arXiv:2002.05709, table 2).

    An anchor u has its positive v+, the other view of its image, and as negatives v- the n - 1 other images in that other view
    (B.10); both views are anchors in turn. With s the cosine similarity:

        -log sigmoid(s+ / temperature) - log sigmoid(-s- / temperature)

    The paper does not say how negatives are put together. Here the loss is the mean of the first term over all anchors plus the
    mean of the second over all pairs of anchor and negative. With `mining = "semi_hard"` (section 5.1) the only negative of an
    anchor is the most similar one that is less similar than the positive; an anchor without one has loss 0 and does not count
    in the mean. The window has no lower end, since the paper names none for this loss.

    Similarities are computed in float32 even under autocast. Time grows with the square of n, memory with n.

    Args:
        temperature: the paper tries 0.1, 0.2, 0.5 and 1, and does not say which was best (B.10).
        mining: which negatives take part.
    """

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.2, mining: Mining = "all") -> None:
        super().__init__()
        self.temperature = temperature
        self.mining = mining

    def forward(self, z1: Float[Tensor, "n k"], z2: Float[Tensor, "n k"]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss, and the numbers of `Contrast.metrics`; row i of both inputs comes from image i.

        Raises:
            UserError: a gradient of the gradient is asked for: with `mining = "all"`, tile by tile, there is none.
        """
        with torch.autocast(z1.device.type, enabled=False):
            scale = self.temperature**-0.5  # so that products of rows are similarities / temperature
            u1, u2 = unit(exact(z1)) * scale, unit(exact(z2)) * scale
            contrast = Contrast(len(u1), second=0, like=u1.detach())
            loss = (_all if self.mining == "all" else _semi_hard)(u1, u2, visit=contrast)
            return loss, contrast.metrics()


def _all(u1: Tensor, u2: Tensor, *, visit: OnTile) -> Tensor:
    n = len(u1)
    exclude = SameModulo(n)

    def negatives(rows: Tensor, columns: Tensor, row: int, column: int) -> Tensor:
        logits = rows @ columns.T
        visit(logits.detach(), row, column)
        return softplus(left_out(logits, exclude, row, column)).sum()

    pairs = pair_sum(negatives, [u1], [u2])  # a pair is the same whichever of its views is the anchor
    return softplus(-row_dot(u1, u2)).mean() + pairs / max(1, n * (n - 1))


def _semi_hard(u1: Tensor, u2: Tensor, *, visit: OnTile) -> Tensor:
    positive = softplus(-row_dot(u1, u2)).repeat(2)
    negatives, some = semi_hard_of_both(u1, u2, visit=visit)
    return mean_where(positive + softplus(negatives), some)
