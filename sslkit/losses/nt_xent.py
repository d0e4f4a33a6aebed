"""NT-Xent: of all other views in the batch, find the one that shows the same image."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Gt
from jaxtyping import Float
from torch import Tensor, nn

Scalar = Float[Tensor, ""]


class NTXent(nn.Module):
    """The normalised, temperature-scaled cross-entropy of SimCLR (arXiv:2002.05709, eq. 1 and Algorithm 1).

    Each of the 2n views is once the anchor i. Its positive j is the other view of the same image, its negatives are the 2n - 2
    views of all other images, and s is the cosine similarity of two projections:

        l(i, j) = -log( exp(s_ij / temperature) / sum over k != i of exp(s_ik / temperature) )

    The loss is the mean of l over all 2n anchors, as in the paper. The authors' code adds the two directions up instead, so its
    value and its gradient are twice ours. A single image has no negatives and loss 0. A row of zeros has no direction: it is
    orthogonal to every view and gets no gradient.

    Similarities are computed in float32 even under autocast, and in float64 for float64 projections. Memory grows with the
    square of n.

    Args:
        temperature: small values let the nearest negatives weigh more; the paper has 0.1 on ImageNet, 0.5 on CIFAR-10.
    """

    def __init__(self, *, temperature: Annotated[float, Gt(0)] = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, z1: Float[Tensor, "n k"], z2: Float[Tensor, "n k"]) -> tuple[Scalar, dict[str, Scalar]]:
        """The loss, and the numbers of `contrast_metrics`; row i of both inputs comes from image i."""
        with torch.autocast(z1.device.type, enabled=False):
            u = directions(torch.stack((z1, z2)).flatten(0, 1))  # (2n, k)
            logits = (u / self.temperature) @ u.T  # (2n, 2n)
            return cross_entropy(logits), contrast_metrics(logits.detach())


def directions(z: Float[Tensor, "m k"]) -> Float[Tensor, "m k"]:
    """Rows scaled to length 1, in float32 or better; a row of zeros stays one."""
    z = z.to(torch.promote_types(z.dtype, torch.float32))
    length = torch.linalg.vector_norm(z, dim=1, keepdim=True)  # (m, 1)
    return torch.where(length == 0, 0, z / length.masked_fill(length == 0, 1))  # what is not a number stays so


def cross_entropy(logits: Float[Tensor, "m m"]) -> Scalar:
    """Mean of l(i, j) over all anchors; rows 0..n-1 of the logits are first views, rows n..2n-1 second views.

    `logsumexp(all) - positive` would be the difference of two numbers near 1 / temperature, and with easy pairs nothing but
    rounding. So the sum leaves the positive out, and `log(1 + exp(negatives - positive))` brings it in.
    """
    n = len(logits) // 2
    positive = logits.diagonal(n).repeat(2)  # (2n,): s_ij = s_ji
    same_image = torch.eye(n, dtype=torch.bool, device=logits.device).repeat(2, 2)  # the anchor itself and its positive
    negatives = logits.masked_fill(same_image, -math.inf).logsumexp(dim=1)  # (2n,); -inf for a single image
    return torch.logaddexp(negatives - positive, torch.zeros_like(positive)).mean()


def contrast_metrics(logits: Float[Tensor, "m m"]) -> dict[str, Scalar]:
    """How well first views find their second views, among the n second views of the batch, as the official code logs it.

    contrast_accuracy: share of the images whose own second view is the most similar one, in [0, 1].
    contrast_entropy: mean entropy of softmax(similarity / temperature), in nats, at most ln n.
    """
    n = len(logits) // 2
    across = logits[:n, n:]  # (n, n)
    own = across.argmax(dim=1) == torch.arange(n, device=logits.device)  # (n,)
    p = across.softmax(dim=1)
    return {
        "contrast_accuracy": own.to(logits.dtype).mean(),
        "contrast_entropy": -(p * torch.log(p + 1e-8)).sum(dim=1).mean(),
    }
