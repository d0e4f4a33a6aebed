"""MINE: a projection by one hidden layer."""

from typing import Annotated

from annotated_types import Gt
from torch import Tensor, nn


class Mine(nn.Module):
    """Linear, ReLU, linear (arXiv:2002.05709, section 2.1).

    Args:
        in_dim: width of h.
        out_dim: width of z.
    """

    def __init__(self, in_dim: int, *, out_dim: Annotated[int, Gt(0)] = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_dim, in_dim), nn.ReLU(), nn.Linear(in_dim, out_dim))
        self.out_dim = out_dim

    def forward(self, h: Tensor) -> Tensor:
        """Projections `z (n, k)` of representations `h (n, d)`."""
        z: Tensor = self.layers(h)
        return z
