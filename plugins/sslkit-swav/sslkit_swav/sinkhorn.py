"""Sinkhorn: soft assignments of images to prototypes that use all prototypes equally."""

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """Assignments `(n, m)`, each row of sum 1, of images with scores `(n, m)` (arXiv:2006.09882, eqs. 3 to 5).

    `exp(scores / epsilon)`, whose columns are brought to the sum n / m, then its rows to 1, in turn. The columns are exact only
    as far as the iterations took them, as in the authors' code, which ends with the rows.

    Args:
        scores: cosines of images and prototypes.
        epsilon: how soft; the smaller, the harder.
        iterations: how often columns and rows are normalised.
    """
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    q = torch.exp(wide - wide.max())  # a common factor, which the first division takes away
    n, m = q.shape
    for _ in range(iterations):
        q = q / q.sum(0) / m * n
        q = q / q.sum(1, keepdim=True)
    return q
