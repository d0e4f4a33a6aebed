"""Statistics: what both losses ask of a batch of projections."""

import torch
from torch import Tensor

from sslkit import UserError


def two_or_more(name: str, z: Tensor) -> None:
    """Raise UserError if there are too few images for a variance."""
    if len(z) < 2:
        raise UserError(f"{name}: a batch needs two images at least; of one there is no variance.")


def wide(z: Tensor) -> Tensor:
    """In float32 at least: a network under autocast gives bf16, and sums over a batch need more."""
    return z.to(torch.promote_types(z.dtype, torch.float32))


def off_diagonal_squares(matrix: Tensor) -> Tensor:
    """The sum of the squares beside the diagonal of a square matrix."""
    return matrix.square().sum() - matrix.diagonal().square().sum()
