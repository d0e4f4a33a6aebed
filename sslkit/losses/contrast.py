"""How well first views find their second views: the numbers that SimCLR's authors log beside the loss."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


class Contrast:
    """Contrastive accuracy and entropy among the n second views, gathered while the similarities pass by in tiles.

    Definitions as in the official code (`model.py`, logits of first against second views only), without the 1e-8 that it adds
    inside the logarithm, which moves the entropy by n 1e-8 at most.

    Args:
        n: images.
        second: the column of the first second view: n where the columns are all views, 0 where they are second views.
        like: gives the type and device.
    """

    def __init__(self, n: int, *, second: int, like: Tensor) -> None:
        self.n, self.second = n, second
        self.best = like.new_full((n,), -math.inf)  # the highest logit of each row so far
        self.at = torch.zeros(n, dtype=torch.int64, device=like.device)  # and whose it is
        self.sums = like.new_full((n,), -math.inf)  # log-sum-exp
        self.mean = like.new_zeros(n)  # of the logits under their softmax

    def __call__(self, tile: Float[Tensor, "h w"], row: int, column: int) -> None:
        """Take in the part of a tile that compares first with second views."""
        skipped = max(0, self.second - column)
        logits = tile[: max(0, self.n - row), skipped : max(0, self.second + self.n - column)]
        if logits.numel() == 0:
            return
        rows = slice(row, row + len(logits))
        best, at = logits.max(dim=1)
        self.at[rows] = torch.where(best > self.best[rows], at + (column + skipped - self.second), self.at[rows])
        self.best[rows] = torch.maximum(best, self.best[rows])
        weights = (logits - best[:, None]).exp_()
        total = weights.sum(dim=1)
        sums = best + total.log()
        together = torch.logaddexp(self.sums[rows], sums)
        mean = torch.einsum("hw,hw->h", weights, logits) / total
        self.mean[rows] = self.mean[rows] * (self.sums[rows] - together).exp() + mean * (sums - together).exp()
        self.sums[rows] = together

    def metrics(self) -> dict[str, Float[Tensor, ""]]:
        """The two numbers.

        contrast_accuracy: share of the images whose own second view is the most similar one, in [0, 1].
        contrast_entropy: mean entropy of softmax(similarity / temperature), in nats, at most ln n.
        """
        own = self.at == torch.arange(self.n, device=self.at.device)
        return {"contrast_accuracy": own.to(self.mean.dtype).mean(), "contrast_entropy": (self.sums - self.mean).mean()}
