"""k nearest neighbours: an image gets the class of the training images whose features point in the most similar direction."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, MinLen
from jaxtyping import Float32, Float64, Int64

from sslkit.errors import DataError
from sslkit.evaluations.accuracy import Found, Guesses, accuracies, guesses, together
from sslkit.evaluations.features import Features, LabelledPair, labelled_features

_ROWS = 1024  # rows of features at a time: memory beside the bank does not grow with the number of queries


class KNN:
    """Weighted k-nearest-neighbour classifier on the frozen representation: nothing is trained, so nothing is tuned.

    The bank is the training split. With `s_i = cos(h, h_i)` the similarity of a test image to its i-th nearest neighbour and
    `y_i` that neighbour's label, the class of the image is

        argmax_c  sum over i <= k with y_i = c of  exp(s_i / temperature)

    (arXiv:1805.01978, section 3.4, where k = 200 and temperature = 0.07). The SimCLR paper reports no such number. Votes are
    weighted in many ways elsewhere, so compare with numbers of other origin only where the formula is this one.

    Among equally near neighbours the earlier in the bank comes first, except that faiss chooses, the same every time, which of
    them are still among the largest k. Among classes with equal votes the smallest index wins. Features of zero length have
    similarity 0 to everything. The search is exact, in float32.

    Gives `knn_top1`, and for more than ten classes `knn_top5`, in which a class without a vote never counts; with several k
    `knn_k20_top1` and so on, all from one search.

    Args:
        k: the number of neighbours that vote, or several such numbers.
        temperature: of the votes; the smaller, the more the nearest neighbours decide.
    """

    protocol = "cosine, votes exp(s/T)"

    def __init__(
        self,
        *,
        k: Annotated[int, Gt(0)] | Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = 20,
        temperature: Annotated[float, Gt(0)] = 0.07,
    ) -> None:
        self.ks = (k,) if isinstance(k, int) else tuple(dict.fromkeys(k))
        self.temperature = temperature

    def __call__(self, train: Features, test: Features) -> Found:
        """Accuracies on `test` with `train` as the bank.

        Raises:
            DataError: labels are missing, classes differ, features are not finite, or the bank is smaller than k.
        """
        labels = self.check(train, test)
        index = _index(train.h)
        found: dict[int, list[Guesses]] = {k: [] for k in self.ks}
        for first in range(0, len(test.h), _ROWS):
            rows = slice(first, first + _ROWS)
            similarities, neighbours = _search(index, test.h[rows], max(self.ks))
            weights = self._weights(similarities)
            for k in self.ks:
                votes = _votes(weights[:, :k], labels.train[neighbours[:, :k]], labels.num_classes)
                found[k].append(_guesses(votes, labels.test[rows]))
        return [
            pair
            for k in self.ks
            for pair in accuracies(together(found[k]), labels.test, prefix=self._prefix(k), num_classes=labels.num_classes)
        ]

    def check(self, train: Features, test: Features) -> LabelledPair:
        """The labels, if the bank has them and is large enough; features may still be of width 0."""
        if max(self.ks) > len(train.h):
            raise DataError(
                f"k = {max(self.ks)}, but the bank {train.split!r} has only {len(train.h)} images; "
                f"set k to {len(train.h)} or less."
            )
        return labelled_features(train, test, "knn")

    def _weights(self, similarities: Float32[np.ndarray, "b k"]) -> Float64[np.ndarray, "b k"]:
        """`exp(s / temperature)`, divided by the nearest neighbour's, which changes no vote and can't overflow."""
        exact = similarities.astype(np.float64)
        return np.exp((exact - exact[:, :1]) / self.temperature)

    def _prefix(self, k: int) -> str:
        return f"knn_k{k}" if len(self.ks) > 1 else "knn"


def _index(bank: Float32[np.ndarray, "n d"]) -> Any:
    """The bank, normalised and ready to be searched; faiss is imported here because it is slow to load and starts threads."""
    import faiss

    index = faiss.IndexFlatIP(bank.shape[1])
    for first in range(0, len(bank), _ROWS):
        index.add(_unit(bank[first : first + _ROWS]))
    return index


def _unit(h: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    """Rows of length 1; in float64 on the way, where the square of no float32 overflows or vanishes. Zero rows stay zero."""
    norms = np.linalg.norm(h.astype(np.float64), axis=1, keepdims=True)
    return (h / np.where(norms > 0, norms, 1)).astype(np.float32)


def _search(
    index: Any, queries: Float32[np.ndarray, "b d"], k: int
) -> tuple[Float32[np.ndarray, "b k"], Int64[np.ndarray, "b k"]]:
    """Similarities and bank rows of the k nearest neighbours, nearest first, the earlier in the bank first among equals."""
    similarities, neighbours = index.search(_unit(queries), k)
    order = np.lexsort((neighbours, -similarities), axis=1)
    return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(neighbours, order, axis=1)


def _votes(
    weights: Float64[np.ndarray, "b k"], labels: Int64[np.ndarray, "b k"], num_classes: int
) -> Float64[np.ndarray, "b c"]:
    """The sum of the weights for each class."""
    cells = labels + num_classes * np.arange(len(labels))[:, None]
    votes = np.bincount(cells.ravel(), weights=weights.ravel(), minlength=len(labels) * num_classes)
    return votes.reshape(len(labels), num_classes)


def _guesses(votes: Float64[np.ndarray, "b c"], labels: Int64[np.ndarray, " b"]) -> Guesses:
    """A class that nobody voted for stands behind all others, for a small index is no guess."""
    found = guesses(votes, labels)
    unvoted = np.take_along_axis(votes, labels[:, None], axis=1)[:, 0] == 0
    return Guesses(np.where(unvoted, votes.shape[1], found.ranks), found.first)
