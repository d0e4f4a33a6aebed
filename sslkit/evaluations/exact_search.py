"""Exact search: every query is compared with every row of the bank, which is read block by block."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from sslkit.evaluations.block_search import Backend, block_search
from sslkit.evaluations.blocks import parts
from sslkit.evaluations.nearness import Nearness
from sslkit.evaluations.neighbours import Neighbours, in_order


class ExactSearch:
    """The nearest rows, up to rounding in float32: of rows whose scores differ by less, either may be among the last.

    A block of the bank, 128 MB, is read, brought into the form in which it is compared, searched and forgotten; its nearest
    rows are merged with the nearest so far. So the bank may be a memory map that is larger than the memory.

    Args:
        bank: features as the encoder gave them.
        nearness: what is compared.
        backend: who searches a block.

    Raises:
        UserError: the backend can't be imported.
    """

    def __init__(self, bank: Float32[np.ndarray, "n d"], *, nearness: Nearness, backend: Backend) -> None:
        self._bank = bank
        self._nearness = nearness
        self._search = block_search(backend, compared=nearness.compared)

    def __call__(self, queries: Float32[np.ndarray, "b d"], k: int) -> Neighbours:
        """The k nearest rows of the bank, fewer where it has no more."""
        asked = self._nearness.rows(queries)
        found: Neighbours | None = None
        for part in parts(self._bank):
            near = self._in_block(asked, part, k)
            found = near if found is None else _merged(found, near, k)
        assert found is not None, "the bank has rows"
        return found

    def _in_block(self, asked: Float32[np.ndarray, "b d"], part: slice, k: int) -> Neighbours:
        """The nearest of some rows of the bank; a function, so that they are forgotten before the next ones are read."""
        rows = self._nearness.rows(self._bank[part])
        scores, numbers = self._search(asked, rows, min(k, len(rows)))
        return _ordered(Neighbours(scores, numbers + part.start))


def _ordered(found: Neighbours) -> Neighbours:
    """Neighbours that come nearest first, with the earlier in the bank first among equals."""
    equal = (found.scores[:, 1:] == found.scores[:, :-1]).any(axis=1)
    found.scores[equal], found.rows[equal] = in_order(Neighbours(found.scores[equal], found.rows[equal]))
    return found


def _merged(before: Neighbours, new: Neighbours, k: int) -> Neighbours:
    """The k nearest of both, each in order; `before` is of earlier rows of the bank, which come first among equals."""
    scores, rows = (np.concatenate(pair, axis=1) for pair in zip(before, new, strict=True))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return Neighbours(np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1))
