"""What logistic regression minimises: cross-entropy of a softmax where images have one class, of sigmoids where several."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor
from torch.nn import functional as F


class Terms(NamedTuple):
    """What some images contribute to a loss.

    Args:
        value: their part of it.
        residuals: its derivatives by their scores.
        curvature: its second derivatives by their scores, summed over the images.
    """

    value: Float64[Tensor, ""]
    residuals: Float64[Tensor, "c b"]
    curvature: Float64[Tensor, " c"]


@runtime_checkable
class ScoreLoss(Protocol):
    """A convex loss of scores: the mean over all images, or a sum of such means."""

    learnt: Bool[np.ndarray, " c"]  # the classes that take part
    bias: Float64[Tensor, " c"]  # of the best classifier without weights

    def __call__(self, scores: Float64[Tensor, "c b"], rows: slice) -> Terms:
        """What the images of these rows contribute; it may write into the scores."""


class SoftmaxLoss:
    """The mean over n images of `-log p(label)`, where `p(c) = exp(score_c) / sum over k of exp(score_k)`.

    The sum is over the classes that have images here. A class without takes no part: its weights and bias stay where they are.

    Args:
        labels: class indices.
        num_classes: how many scores there are, at least one more than the highest label.
        device: where the scores will be.
    """

    def __init__(self, labels: Int64[np.ndarray, " n"], *, num_classes: int, device: torch.device) -> None:
        counts = np.bincount(labels, minlength=num_classes)
        self.learnt = counts > 0
        self._labels = torch.tensor(labels, device=device)[None]  # (1, n), a copy, for labels may be read-only
        self._absent = torch.from_numpy(np.where(self.learnt, 0.0, -np.inf)).to(device)[:, None]  # (c, 1)
        self.bias = torch.from_numpy(np.log(np.where(self.learnt, counts / len(labels), 1.0))).to(device)

    def __call__(self, scores: Float64[Tensor, "c b"], rows: slice) -> Terms:
        """What the images of these rows contribute; it writes into the scores."""
        n, labels = self._labels.shape[1], self._labels[:, rows]
        scores += self._absent
        own = scores.gather(0, labels)
        log_sum = scores.logsumexp(dim=0, keepdim=True)
        p = scores.sub_(log_sum).exp_()
        curvature = (p - p**2).sum(dim=1) / n
        residuals = p.scatter_add_(0, labels, torch.full_like(own, -1)).div_(n)
        return Terms((log_sum - own).sum() / n, residuals, curvature)


class SigmoidLoss:
    """The sum over the classes of the mean over images of `-log p` or `-log(1 - p)`, where `p = 1 / (1 + exp(-score))`.

    It is a logistic regression for each class on its own. Images that are left out of one class count for the others. A class
    of which all images are, or none is, takes no part: its weights and bias stay 0.

    Args:
        labels: 1 where the class is in the image, 0 where it is not, -1 where that can't be told; those are left out.
        device: where the scores will be.
    """

    def __init__(self, labels: Int64[np.ndarray, "n c"], *, device: torch.device) -> None:
        told, positive = labels.T >= 0, labels.T == 1  # (c, n)
        self.learnt = can_be_learnt(labels)
        weights = told * self.learnt[:, None] / np.maximum(told.sum(axis=1, keepdims=True), 1)
        share = np.where(self.learnt, (weights * positive).sum(axis=1), 0.5)
        self._weights = torch.from_numpy(weights).to(device)
        self._targets = torch.from_numpy(positive.astype(np.float64)).to(device)
        self.bias = torch.from_numpy(np.log(share / (1 - share))).to(device)

    def __call__(self, scores: Float64[Tensor, "c b"], rows: slice) -> Terms:
        """What the images of these rows contribute."""
        weights, targets = self._weights[:, rows], self._targets[:, rows]
        value = F.binary_cross_entropy_with_logits(scores, targets, weights, reduction="sum")
        p = scores.sigmoid()
        return Terms(value, (p - targets) * weights, ((p - p**2) * weights).sum(dim=1))


def can_be_learnt(labels: Int64[np.ndarray, "n c"]) -> Bool[np.ndarray, " c"]:
    """Which classes have images that are of the class and images that are not."""
    return np.asarray((labels == 1).any(axis=0) & (labels == 0).any(axis=0))
