"""Approximate search: an index of faiss that compares a query with a part of the bank only, for banks that are very large."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32

from sslkit.errors import UserError
from sslkit.evaluations.block_search import load_faiss
from sslkit.evaluations.blocks import parts
from sslkit.evaluations.nearness import Nearness
from sslkit.evaluations.neighbours import Neighbours, in_order

_TRAINING_ROWS = 64  # of the bank for each list


@dataclass(frozen=True)
class IVF:
    """Inverted lists: k-means parts the bank, and a query is compared with the lists of the nearest centres only.

    k-means runs on up to 64 rows a list, evenly taken from the bank, with a fixed seed.

    Args:
        num_lists: by default the square root of the number of rows.
        num_probes: lists that a query is compared with.
    """

    num_lists: int | None = None
    num_probes: int = 32

    def settings(self, num_rows: int) -> dict[str, int]:
        """The parameters for a bank of so many rows."""
        num_lists = min(self.num_lists or math.isqrt(num_rows), num_rows)
        return {"num_lists": num_lists, "num_probes": min(self.num_probes, num_lists)}

    def build(self, bank: Float32[np.ndarray, "n d"], nearness: Nearness) -> Any:
        """Trained and filled."""
        faiss = load_faiss()
        num_lists, num_probes = self.settings(len(bank)).values()
        quantizer = faiss.IndexFlat(bank.shape[1], _metric(faiss, nearness))
        index = faiss.IndexIVFFlat(quantizer, bank.shape[1], num_lists, _metric(faiss, nearness))
        index.cp.min_points_per_centroid = 1  # a small bank has fewer than faiss warns of
        sample = np.linspace(0, len(bank) - 1, min(len(bank), _TRAINING_ROWS * num_lists)).astype(np.int64)
        index.train(nearness.rows(bank[sample]))
        _add(index, bank, nearness)
        index.nprobe = num_probes
        return index


@dataclass(frozen=True)
class HNSW:
    """Hierarchical navigable small world (arXiv:1603.09320): a graph of near rows, along which a query walks to its own.

    It is built by one thread, because its links depend on the order in which rows come: the same bits, but slowly.

    Args:
        num_links: of a row in each layer, `M` of the paper.
        ef_construction: candidates kept while a row is linked.
        ef_search: candidates kept while a query walks; k where that is more.
    """

    num_links: int = 32
    ef_construction: int = 80
    ef_search: int = 256

    def settings(self, num_rows: int) -> dict[str, int]:  # noqa: ARG002 - the same for any number
        """The parameters."""
        return asdict(self)

    def build(self, bank: Float32[np.ndarray, "n d"], nearness: Nearness) -> Any:
        """The graph of all rows."""
        faiss = load_faiss()
        index = faiss.IndexHNSWFlat(bank.shape[1], self.num_links, _metric(faiss, nearness))
        index.hnsw.efConstruction = self.ef_construction
        with _one_thread(faiss):
            _add(index, bank, nearness)
        index.hnsw.efSearch = self.ef_search
        return index


Index = IVF | HNSW


def approximate_index(kind: Literal["flat", "ivf", "hnsw"], numbers: Mapping[str, int | None]) -> Index | None:
    """The kind of index with those numbers that are given, or None for "flat", which is no approximation.

    Raises:
        UserError: a number belongs to another kind.
    """
    given = {name: number for name, number in numbers.items() if number is not None}
    known = {"flat": None, "ivf": IVF, "hnsw": HNSW}[kind]
    for name in given:
        if known is None or name not in known.__dataclass_fields__:
            raise UserError(f'{name}: index = "{kind}" has no such number.')
    return None if known is None else known(**given)


class ApproximateSearch:
    """The rows that an index finds; the whole bank lies in memory, in the index.

    Args:
        index: its kind.
        bank: features as the encoder gave them.
        nearness: what is compared.
    """

    def __init__(self, index: Index, bank: Float32[np.ndarray, "n d"], *, nearness: Nearness) -> None:
        self._nearness = nearness
        self._index = index.build(bank, nearness)

    def __call__(self, queries: Float32[np.ndarray, "b d"], k: int) -> Neighbours:
        """The rows, -1 in place of those that were not found."""
        scores, rows = self._index.search(self._nearness.rows(queries), k)
        signed = scores if self._nearness.compared == "product" else -scores
        return in_order(Neighbours(np.where(rows < 0, np.float32(-np.inf), signed), rows))


def _metric(faiss: Any, nearness: Nearness) -> int:
    return faiss.METRIC_INNER_PRODUCT if nearness.compared == "product" else faiss.METRIC_L2


def _add(index: Any, bank: Float32[np.ndarray, "n d"], nearness: Nearness) -> None:
    for part in parts(bank):
        index.add(nearness.rows(bank[part]))


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
