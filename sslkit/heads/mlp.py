"""MLP: SimCLR's projection head, linear layers with a ReLU between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from annotated_types import Ge, Gt
from jaxtyping import Float
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.heads.layers import hidden_layer, output_layer


class MLP(nn.Module):
    """z = W2 relu(W1 h) (arXiv:2002.05709, section 2.1); with batch norm after each linear map, as in the authors' code.

    The last batch norm has a scale and no shift, and no ReLU follows it. SimCLR has two layers, SimCLRv2 three
    (arXiv:2006.10029, section 2).

    Args:
        in_dim: d, the width of h.
        layers: linear maps, the last included; there is a ReLU after each but the last.
        hidden_dim: width between the layers; none means d, as in the papers.
        out_dim: k, the width of z.
        batch_norm: normalise after each linear map; without it, each has a bias.

    Raises:
        UserError: a hidden width was asked of a head with a single layer.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        layers: Annotated[int, Ge(1)] = 2,
        hidden_dim: Annotated[int, Gt(0)] | None = None,
        out_dim: Annotated[int, Gt(0)] = 128,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if layers == 1 and hidden_dim is not None:
            raise UserError(
                f"hidden_dim: is {hidden_dim}, but layers = 1 leaves nothing hidden. 'layers' counts the last one "
                "too: use layers = 2 for one hidden layer, or leave hidden_dim out."
            )
        self.out_dim = out_dim
        dims = [in_dim] + [hidden_dim or in_dim] * (layers - 1)
        self.hidden = nn.Sequential(*(hidden_layer(before, after, batch_norm=batch_norm) for before, after in pairwise(dims)))
        self.output = output_layer(dims[-1], out_dim, batch_norm=batch_norm)

    @property
    def layers(self) -> list[nn.Module]:
        """The layers in order, each with its nonlinearity."""
        return [*self.hidden, self.output]

    def forward(self, h: Float[Tensor, "n d"]) -> Float[Tensor, "n {self.out_dim}"]:
        """Projections z of representations h."""
        z: Tensor = self.output(self.hidden(h))
        return z
