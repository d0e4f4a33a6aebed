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
        self.own = like.new_full((n,), -math.inf)  # the logit of an image's own second view
        self.best = like.new_full((n,), -math.inf)  # the highest of all others so far
        self.sums = like.new_full((n,), -math.inf)  # log-sum-exp of all so far
        self.means = like.new_zeros(n)  # of all so far, weighted by their softmax

    def __call__(self, tile: Float[Tensor, "h w"], row: int, column: int) -> None:
        """Take in the part of a tile that compares first with second views."""
        skipped = max(0, self.second - column)
        logits = tile[: max(0, self.n - row), skipped : max(0, self.second + self.n - column)]
        if logits.numel() == 0:
            return
        rows = slice(row, row + len(logits))
        torch.maximum(self.best[rows], self._best_other(logits, row, column + skipped - self.second), out=self.best[rows])
        shares = logits.softmax(dim=1)  # several times faster than exp
        sums = logits.amax(dim=1) - shares.amax(dim=1).log_()  # the largest logit has the share exp(largest - log-sum-exp)
        together = torch.logaddexp(self.sums[rows], sums)
        earlier, here = (self.sums[rows] - together).exp_(), (sums - together).exp_()
        self.means[rows] = earlier * self.means[rows] + here * shares.mul_(logits).sum(dim=1)
        self.sums[rows] = together

    def _best_other(self, logits: Tensor, row: int, image: int) -> Tensor:
        """The highest logit of each row but the image's own, which is noted; the tile is left as it was."""
        diagonal = logits.diagonal(row - image) if -len(logits) < row - image < logits.shape[1] else logits[:0, 0]
        if len(diagonal) == 0:
            return logits.amax(dim=1)
        own = diagonal.clone()
        first = max(row, image)
        self.own[first : first + len(own)] = own
        diagonal.fill_(-math.inf)
        best = logits.amax(dim=1)
        diagonal.copy_(own)
        return best

    def metrics(self) -> dict[str, Float[Tensor, ""]]:
        """The two numbers.

        contrast_accuracy: share of the images whose own second view is more similar than any other, in [0, 1].
        contrast_entropy: mean entropy of softmax(similarity / temperature), in nats, at most ln n.
        """
        right = self.own > self.best
        entropy = self.sums - self.means
        return {"contrast_accuracy": right.to(entropy.dtype).mean(), "contrast_entropy": entropy.mean()}
