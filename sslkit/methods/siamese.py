"""Siamese: all views of an image go through one encoder and one head, and the loss compares them.

With the NT-Xent loss this is SimCLR (arXiv:2002.05709, figure 2); with another loss it is another method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sslkit import signatures
from sslkit.errors import ContractError, UserError

Scalars = dict[str, Tensor]


class Siamese(nn.Module):
    """z = g(f(view)) for every view, in one forward pass a size, so that batch norm sees all views together.

    The authors' code does the same (reference TensorFlow code, `model.py`): statistics of batch norm are shared by the views.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, loss: Callable[..., Tensor | tuple[Tensor, Scalars]]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.loss = loss
        called = signatures.written(type(loss), "__call__") or loss  # a plain function is its own
        self._takes = tuple(signatures.declared(called, dict.fromkeys(("z1", "z2", "zs", "labels", "indices"))))
        self._takes_list = "zs" in self._takes
        self.num_views: int | None = None if self._takes_list else 2
        self.min_views: int = getattr(loss, "min_views", 1)

    def project(self, views: Sequence[Float[Tensor, "n c _h _w"]]) -> tuple[Float[Tensor, "n k"], ...]:
        """Projections of each view; views of one size that stand side by side share a forward pass."""
        projections: list[Tensor] = []
        for _, same in groupby(views, key=lambda view: view.shape[1:]):
            stacked = list(same)
            z = self.head(self.backbone(torch.cat(stacked)))  # (v n, k)
            projections += z.chunk(len(stacked))
        return tuple(projections)

    def objective(
        self,
        *zs: Float[Tensor, "n k"],
        labels: Int64[Tensor, " n"] | None = None,
        indices: Int64[Tensor, " n"] | None = None,
    ) -> tuple[Float[Tensor, ""], Scalars]:
        """The loss of the projections of a global batch, and the numbers it wants logged."""
        offered = {"zs": list(zs), "labels": labels, "indices": indices}
        if not self._takes_list:
            offered["z1"], offered["z2"] = zs
        if "labels" in self._takes and labels is None:
            raise UserError(f"loss: {type(self.loss).__name__} needs labels, and these images have none.")
        result = self.loss(**{name: offered[name] for name in self._takes})
        value, scalars = result if isinstance(result, tuple) else (result, {})
        if not isinstance(value, Tensor) or value.ndim != 0:
            given = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise ContractError(f"loss: {type(self.loss).__name__} must give a scalar tensor, and gave {given}.")
        return value, scalars
