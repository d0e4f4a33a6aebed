"""Rows of projections: their precision, their directions, their products."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def exact(z: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """The rows in float32, or in float64 if they come so."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def unit(z: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """Rows scaled to length 1; a row of zeros stays one, and what is not a number stays so."""
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)  # (m, 1)
    return torch.where(length == 0, 0, z / length.masked_fill(length == 0, 1))


def row_dot(a: Float[Tensor, "m k"], b: Float[Tensor, "m k"]) -> Float[Tensor, " m"]:
    """The product of row i with row i."""
    return torch.linalg.vecdot(a, b)
