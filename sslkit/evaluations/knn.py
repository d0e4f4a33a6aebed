"""k nearest neighbours: an image gets the class that most of the nearest training images have, the nearer with more weight."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal

from annotated_types import Gt, MinLen

from sslkit.errors import DataError, UserError
from sslkit.evaluations.accuracy import Found, Guesses, accuracies, together
from sslkit.evaluations.approximate_search import ApproximateSearch, approximate_index
from sslkit.evaluations.block_search import Backend, require_backend
from sslkit.evaluations.exact_search import ExactSearch
from sslkit.evaluations.features import Features, LabelledPair, labelled_features
from sslkit.evaluations.nearness import Metric, nearness_by
from sslkit.evaluations.neighbours import copies, nearest, recall, scored
from sslkit.evaluations.votes import Votes, best, formula, votes_of


class KNN:
    """Weighted k-nearest-neighbour classifier on the frozen representation: nothing is trained, so nothing is tuned.

    The bank is the training split. With `s_i` the nearness of a test image to its i-th nearest neighbour, `d_i` their distance
    and `y_i` that neighbour's label, the class of the image is

        argmax_c  sum over i <= k with y_i = c of  w_i

        metric = "cosine":      s = cos(h, h_i)      d = 1 - s
        metric = "euclidean":   s = -d^2             d = |h - h_i|, h as it is, not normalised

        votes = "exp":      w = exp(s / temperature)
        votes = "inverse":  w = 1 / (d + 1e-5), so at most 1e5
        votes = "uniform":  w = 1

    The default, cosine and exp, is that of arXiv:1805.01978, section 3.4, where k = 200 and temperature = 0.07. exp(-d^2) is
    the weight of neighbourhood components analysis and of arXiv:1703.05175; for features of length 1, -d^2 = 2 s - 2, so twice
    the temperature gives the cosine's votes. The inverse with that 1e-5 is solo-learn's for euclidean. The SimCLR paper reports
    no such number.

    Leave one out: where `train` and `test` are the same split, an image is no neighbour of its own; also where the bank is
    a part of the split.

    Among equally near neighbours the earlier in the bank comes first, except that the backend chooses, the same every time,
    which of them are still among the largest k. Among classes with equal votes the smallest index wins. Features of zero length
    have cosine 0 to everything. The search is exact, in float32, and reads the bank in blocks of 128 MB, so it need not fit in
    memory; the scores of the neighbours found are then computed again in float64 where the votes need the digits, that is for
    euclidean and for inverse.

    Gives `knn_top1`, and for more than ten classes `knn_top5`, in which a class without a vote never counts, and the rest of
    `accuracies`; with several k `knn_k20_top1` and so on, with several temperatures `knn_t0.07_top1`, with both
    `knn_k20_t0.07_top1`, all from one search. With an approximate index also `knn_recall`: the share of the largest k nearest
    rows that it finds, over 256 queries evenly taken.

    Args:
        k: the number of neighbours that vote, or several such numbers.
        temperature: of the votes; the smaller, the more the nearest neighbours decide. Or several. For "exp" only.
        metric: what is near.
        votes: what a neighbour adds to its class.
        index: "flat" compares with every row. For very large banks "ivf", inverted lists, and "hnsw", a graph, compare with
            some and miss a few neighbours; the whole bank then lies in memory.
        num_lists: of "ivf". What is left out of this and of the next four is as in `IVF` and `HNSW` of
            `sslkit.evaluations.approximate_search`, and stands beside the number.
        num_probes: lists that a query of "ivf" is compared with.
        num_links: of a row of "hnsw".
        ef_construction: candidates while "hnsw" is built.
        ef_search: candidates while "hnsw" is searched; k where that is more.
        backend: "faiss", or "torch" for the same by matrix products, where faiss can't be installed; "flat" only. Either uses
            a GPU where it finds one.

    Raises:
        UserError: parameters that belong to another index or to other votes.
    """

    def __init__(
        self,
        *,
        k: Annotated[int, Gt(0)] | Annotated[tuple[Annotated[int, Gt(0)], ...], MinLen(1)] = 20,
        temperature: Annotated[float, Gt(0)] | Annotated[tuple[Annotated[float, Gt(0)], ...], MinLen(1)] = 0.07,
        metric: Literal["cosine", "euclidean"] = "cosine",
        votes: Literal["exp", "inverse", "uniform"] = "exp",
        index: Literal["flat", "ivf", "hnsw"] = "flat",
        num_lists: Annotated[int, Gt(0)] | None = None,
        num_probes: Annotated[int, Gt(0)] | None = None,
        num_links: Annotated[int, Gt(1)] | None = None,
        ef_construction: Annotated[int, Gt(0)] | None = None,
        ef_search: Annotated[int, Gt(0)] | None = None,
        backend: Literal["faiss", "torch"] = "faiss",
    ) -> None:
        self.ks = (k,) if isinstance(k, int) else tuple(dict.fromkeys(k))
        self.temperatures = (temperature,) if isinstance(temperature, int | float) else tuple(dict.fromkeys(temperature))
        if votes != "exp" and len(self.temperatures) > 1:
            raise UserError(f'temperature: votes = "{votes}" have none; give several with votes = "exp" only.')
        if index != "flat" and backend != "faiss":
            raise UserError(f'index: "{index}" is faiss\'s; with backend = "{backend}" there is "flat" only.')
        self.metric: Metric = metric
        self.votes: Votes = votes
        self.backend: Backend = backend
        numbers = {"num_lists": num_lists, "num_probes": num_probes, "num_links": num_links}
        numbers |= {"ef_construction": ef_construction, "ef_search": ef_search}
        self.index = approximate_index(index, numbers)
        self.law = formula(votes, metric)

    def settings(self, num_images: int) -> dict[str, int]:
        """The parameters of an approximate index of so many training images."""
        return self.index.settings(num_images) if self.index else {}

    def check(self, train: Features, test: Features) -> LabelledPair:
        """The labels, if the bank has them and is large enough; features may still be of width 0."""
        require_backend(self.backend)
        own = copies(train, test)
        if max(self.ks) > len(train.h) - own:
            others = f" that are not the image itself (both splits are {test.split!r})" if own else ""
            raise DataError(
                f"k = {max(self.ks)}, but the bank {train.split!r} has only {len(train.h) - own} images{others}; "
                f"set k to {len(train.h) - own} or less."
            )
        return labelled_features(train, test, "knn")

    def __call__(self, train: Features, test: Features) -> Found:
        """Accuracies on `test` with `train` as the bank.

        Raises:
            DataError: labels are missing, classes differ, features are not finite, or the bank is smaller than k.
            UserError: faiss is needed and can't be imported.
        """
        labels = self.check(train, test)
        nearness = nearness_by(self.metric, train.h, test.h)
        exact = ExactSearch(train.h, nearness=nearness, backend=self.backend)
        search = ApproximateSearch(self.index, train.h, nearness=nearness) if self.index else exact
        found: dict[tuple[int, float], list[Guesses]] = {pair: [] for pair in product(self.ks, self.temperatures)}
        needs_digits = self.metric == "euclidean" or self.votes == "inverse"
        for part, quick in nearest(search, train, test, max(self.ks)):
            near = scored(quick, train, test.h[part], nearness) if needs_digits else quick
            for (k, temperature), guessed in found.items():
                votes = votes_of(
                    near.first(k),
                    labels.train,
                    rule=self.votes,
                    temperature=temperature,
                    nearness=nearness,
                    num_classes=labels.num_classes,
                )
                guessed.append(best(votes, labels.test[part]))
        pairs: Found = [
            pair
            for asked, guessed in found.items()
            for pair in accuracies(together(guessed), labels.test, prefix=self._prefix(*asked), num_classes=labels.num_classes)
        ]
        if self.index:
            pairs.append(("knn_recall", recall(search, exact, train, test, max(self.ks))))
        return pairs

    def _prefix(self, k: int, temperature: float) -> str:
        """The name without what every number shares."""
        several_k = f"_k{k}" if len(self.ks) > 1 else ""
        return f"knn{several_k}" + (f"_t{temperature}" if len(self.temperatures) > 1 else "")
