"""Margin: the triplet loss, where the positive shall be closer than any negative by a margin."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import SameModulo, left_out
from sslkit.losses.pair_sum import pair_sum
from sslkit.losses.rows import exact, mean_where, row_dot, unit
from sslkit.losses.semi_hard import Mining, semi_hard_of_both
from sslkit.losses.tiles import OnTile

Scalar = Float[Tensor, ""]


class Margin(nn.Module):
    """The margin loss of SimCLR's comparison (arXiv:2002.05709, table 2), on cosine similarities.

    An anchor u has its positive v+, the other view of its image, and as negatives v- the n - 1 other images in that other view
    (B.10); both views are anchors in turn. With s the cosine similarity:

        max(s- - s+ + margin, 0)

    The loss is the mean over all pairs of anchor and negative; the paper does not say how they are put together. With
    `mining = "semi_hard"` (section 5.1) an anchor's only negative is the most similar one with s+ - margin < s- < s+ (FaceNet,
    arXiv:1503.03832, section 3.2); an anchor without one has loss 0 and does not count in the mean.

    Similarities are computed in float32 even under autocast. Time grows with the square of n, memory with n.

    Args:
        margin: the paper tries 0, 0.4, 0.8 and 1.6, and does not say which was best (B.10).
        mining: which negatives take part.

    Raises:
        UserError: margin 0 with semi-hard negatives, of which there are none.
    """

    def __init__(self, *, margin: Annotated[float, Ge(0)] = 0.8, mining: Mining = "all") -> None:
        super().__init__()
        if margin == 0 and mining == "semi_hard":
            raise UserError('margin: must be greater than 0 with mining = "semi_hard", which finds no negative within 0.')
        self.margin = margin
        self.mining = mining

    def forward(self, z1: Float[Tensor, "n k"], z2: Float[Tensor, "n k"]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss, and the numbers of `Contrast.metrics` (the entropy at temperature 1); row i of both is image i.

        Raises:
            UserError: a gradient of the gradient is asked for: with `mining = "all"`, tile by tile, there is none.
        """
        with torch.autocast(z1.device.type, enabled=False):
            u1, u2 = unit(exact(z1)), unit(exact(z2))
            contrast = Contrast(len(u1), second=0, like=u1.detach())
            loss = (_all if self.mining == "all" else _semi_hard)(u1, u2, margin=self.margin, visit=contrast)
            return loss, contrast.metrics()


def _all(u1: Tensor, u2: Tensor, *, margin: float, visit: OnTile) -> Tensor:
    n = len(u1)
    bound = row_dot(u1, u2) - margin  # (n,): a negative above it costs
    total = pair_sum(partial(_excess, n=n, visit=visit), [u1, bound], [u2, bound])
    return total / max(1, 2 * n * (n - 1))


def _excess(  # noqa: PLR0917 - tiles are handed over by position
    rows: Tensor, of_rows: Tensor, columns: Tensor, of_columns: Tensor, row: int, column: int, *, n: int, visit: OnTile
) -> Tensor:
    """What the negatives of a tile cost, once with the rows and once with the columns as anchors."""
    similarities = rows @ columns.T
    visit(similarities.detach(), row, column)
    negatives = left_out(similarities, SameModulo(n), row, column)
    return (negatives - of_rows[:, None]).relu().sum() + (negatives - of_columns).relu().sum()


def _semi_hard(u1: Tensor, u2: Tensor, *, margin: float, visit: OnTile) -> Tensor:
    bound = (row_dot(u1, u2) - margin).repeat(2)
    negatives, some = semi_hard_of_both(u1, u2, margin=margin, visit=visit)
    return mean_where((negatives - bound).relu(), some)
