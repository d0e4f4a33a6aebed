"""VICReg: views agree, every dimension varies, and no two dimensions say the same."""

from typing import Annotated, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from sslkit_vicreg.statistics import off_diagonal_squares, two_or_more, wide


class VICReg:
    """Variance, invariance and covariance of the projections (arXiv:2105.04906, eqs. 1 to 6).

    `invariance * s + variance * (v1 + v2) + covariance * (c1 + c2)`, where s is the mean squared distance of the views of an
    image (eq. 5), v how far the standard deviation of each dimension falls short of gamma (eqs. 1, 2), and c the squares of the
    covariance of different dimensions, divided by their number (eqs. 3, 4).

    The authors' code divides s by the number of dimensions, and halves v; their weights belong to it. That is
    `form = "code"`, the default. `form = "paper"` is the text.

    It is computed with the batch of all processes: a variance is none of a part of it.

    Args:
        invariance: weight of s.
        variance: weight of v.
        covariance: weight of c.
        gamma: the standard deviation that is asked for.
        eps: under the root, so that its gradient is finite where nothing varies.
        form: by the authors' code, or by the paper's text.

    Raises:
        UserError: the batch has one image.
    """

    def __init__(
        self,
        *,
        invariance: Annotated[float, Ge(0)] = 25.0,
        variance: Annotated[float, Ge(0)] = 25.0,
        covariance: Annotated[float, Ge(0)] = 1.0,
        gamma: Annotated[float, Gt(0)] = 1.0,
        eps: Annotated[float, Gt(0)] = 1e-4,
        form: Literal["code", "paper"] = "code",
    ) -> None:
        self.weights = (invariance, variance, covariance)
        self.gamma = gamma
        self.eps = eps
        self.form = form

    def __call__(self, z1: Tensor, z2: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of projections `(n, k)`, row i of both from image i, and its three parts before they are weighted."""
        two_or_more("vicreg", z1)
        with torch.autocast(z1.device.type, enabled=False):
            z1, z2 = wide(z1), wide(z2)
            s = (z1 - z2).square().sum(1).mean()
            v = self._shortfall(z1) + self._shortfall(z2)
            c = _covariance(z1) + _covariance(z2)
        if self.form == "code":
            s, v = s / z1.shape[1], v / 2
        value = sum(weight * part for weight, part in zip(self.weights, (s, v, c), strict=True))
        return value, {"invariance": s.detach(), "variance": v.detach(), "covariance": c.detach()}

    def _shortfall(self, z: Tensor) -> Tensor:
        deviation = (z.var(dim=0) + self.eps).sqrt()  # (k,)
        return (self.gamma - deviation).relu().mean()


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return off_diagonal_squares(centred.T @ centred / (len(z) - 1)) / z.shape[1]
