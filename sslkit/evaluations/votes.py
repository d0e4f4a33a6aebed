"""Votes: what each neighbour adds to its class, and which classes have the most."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from sslkit.evaluations.accuracy import Guesses, guesses
from sslkit.evaluations.nearness import Metric, Nearness
from sslkit.evaluations.neighbours import NONE, Neighbours

Votes = Literal["exp", "inverse", "uniform"]
_EPSILON = 1e-5  # solo-learn's
_COLDEST = 1e-200  # below it the nearest alone decide, however cold, and no score divided by it overflows


def formula(rule: Votes, metric: Metric) -> str:
    """The weight of a vote, for the protocol."""
    if rule == "exp":
        return "votes exp(cos/T)" if metric == "cosine" else "votes exp(-d^2/T)"
    return f"votes 1/(d + {_EPSILON:g})" if rule == "inverse" else "equal votes"


def votes_of(
    found: Neighbours,
    labels: Int64[np.ndarray, " n"],
    *,
    rule: Votes,
    temperature: float,
    nearness: Nearness,
    num_classes: int,
) -> Float64[np.ndarray, "b c"]:
    """What each class gets, to be compared within a row only; -inf for a class that nobody votes for.

    Args:
        found: the neighbours; a place that an approximate search left empty has no vote.
        labels: of the rows of the bank.
        rule: "exp", `w = exp(s / temperature)`; "inverse", `w = 1 / (d + 1e-5)`; "uniform", `w = 1`.
        temperature: of "exp".
        nearness: it says what s and d are.
        num_classes: c.
    """
    missing = found.rows == NONE
    scores = np.where(missing, 0, found.scores.astype(np.float64))
    classes = np.where(missing, num_classes, labels[found.rows])  # one more, which is dropped
    if rule == "exp":
        return _log_sums(scores / max(temperature, _COLDEST), classes, num_classes + 1)[:, :num_classes]
    weights = 1 / (nearness.distances(scores) + _EPSILON) if rule == "inverse" else np.ones_like(scores)
    sums = _sums(weights, classes, num_classes + 1)[:, :num_classes]
    return np.where(sums > 0, sums, -np.inf)


def best(votes: Float64[np.ndarray, "b c"], labels: Int64[np.ndarray, " b"]) -> Guesses:
    """Classes by their votes; one that nobody votes for stands behind all others, for a small index is no guess."""
    found = guesses(np.maximum(votes, np.finfo(np.float64).min), labels)
    unvoted = np.isneginf(np.take_along_axis(votes, labels[:, None], axis=1)[:, 0])
    return Guesses(np.where(unvoted, votes.shape[1], found.ranks), found.first)


def _cells(classes: Int64[np.ndarray, "b k"], num_classes: int) -> Int64[np.ndarray, " b*k"]:
    """Where the class of each neighbour stands in a flat table of rows and classes."""
    return (classes + num_classes * np.arange(len(classes))[:, None]).ravel()


def _sums(
    weights: Float64[np.ndarray, "b k"], classes: Int64[np.ndarray, "b k"], num_classes: int
) -> Float64[np.ndarray, "b c"]:
    """The sum of the weights of each class."""
    size = len(classes) * num_classes
    sums = np.bincount(_cells(classes, num_classes), weights=weights.ravel(), minlength=size)
    return sums.reshape(len(classes), num_classes)


def _log_sums(
    logits: Float64[np.ndarray, "b k"], classes: Int64[np.ndarray, "b k"], num_classes: int
) -> Float64[np.ndarray, "b c"]:
    """`log sum exp(logit)` of each class, less the largest of the row, so that no large logit makes it overflow or vanish."""
    logits = logits - logits.max(axis=1, keepdims=True)
    cells = _cells(classes, num_classes)
    largest = np.full(len(classes) * num_classes, -np.inf)
    np.maximum.at(largest, cells, logits.ravel())
    weights = np.exp(logits - largest[cells].reshape(logits.shape))
    with np.errstate(divide="ignore"):
        return largest.reshape(len(classes), num_classes) + np.log(_sums(weights, classes, num_classes))
