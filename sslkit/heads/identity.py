"""Identity: no head; the loss acts on the representation itself."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class Identity(nn.Module):
    """z = h, the "none" of the ablation of heads (arXiv:2002.05709, section 4.2).

    Args:
        in_dim: d, the width of h; also that of z.
    """

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.out_dim = in_dim

    def forward(self, h: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Give h back."""
        return h
