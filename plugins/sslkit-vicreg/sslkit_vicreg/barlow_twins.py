"""Barlow Twins: the correlation of the two views' dimensions is the identity."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from sslkit_vicreg.statistics import off_diagonal_squares, two_or_more, wide


class BarlowTwins:
    """Squared distance of the cross-correlation matrix from the identity (arXiv:2103.03230, eqs. 1 and 2).

    `sum_i (1 - C_ii)^2 + redundancy * sum_(i != j) C_ij^2`; C is the correlation of dimension i of the first views with
    dimension j of the second views over the batch of all processes.

    As in the authors' code each dimension is normalised with the biased variance and an epsilon, where the paper divides by the
    norm. The authors' code normalises on each process by its own images; here all images count, so that the number of processes
    changes nothing.

    Args:
        redundancy: weight of what is beside the diagonal, lambda.
        eps: added to the variance.

    Raises:
        UserError: the batch has one image.
    """

    def __init__(self, *, redundancy: Annotated[float, Ge(0)] = 0.0051, eps: Annotated[float, Gt(0)] = 1e-5) -> None:
        self.redundancy = redundancy
        self.eps = eps

    def __call__(self, z1: Tensor, z2: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of projections `(n, k)`, row i of both from image i, and its two parts before they are weighted."""
        two_or_more("barlow_twins", z1)
        with torch.autocast(z1.device.type, enabled=False):
            correlation = self._normalised(wide(z1)).T @ self._normalised(wide(z2)) / len(z1)  # (k, k)
        on, off = (correlation.diagonal() - 1).square().sum(), off_diagonal_squares(correlation)
        return on + self.redundancy * off, {"on_diagonal": on.detach(), "off_diagonal": off.detach()}

    def _normalised(self, z: Tensor) -> Tensor:
        return (z - z.mean(dim=0)) / (z.var(dim=0, correction=0) + self.eps).sqrt()
