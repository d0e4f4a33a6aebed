"""LinearHead: the projection is one linear map of the representation."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.heads.layers import output_layer


class LinearHead(nn.Module):
    """z = norm(W h), the "linear" of the ablation of heads (arXiv:2002.05709, section 4.2).

    The paper does not mention the batch norm; the authors' code has it, with a scale and no shift, and so has the default here.

    Args:
        in_dim: d, the width of h.
        out_dim: k, the width of z.
        batch_norm: normalise W h over the batch; without it, z = W h + b.
    """

    def __init__(self, in_dim: int, *, out_dim: Annotated[int, Gt(0)] = 128, batch_norm: bool = True) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.output = output_layer(in_dim, out_dim, batch_norm=batch_norm)

    @property
    def layers(self) -> list[nn.Module]:
        """Its one layer."""
        return [self.output]

    def forward(self, h: Float[Tensor, "n d"]) -> Float[Tensor, "n {self.out_dim}"]:
        """Projections z of representations h."""
        z: Tensor = self.output(h)
        return z
