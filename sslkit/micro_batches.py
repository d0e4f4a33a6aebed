"""Micro-batches: the slices that a batch is computed in."""

from __future__ import annotations

import math
from itertools import pairwise


def slices(batch_size: int, micro_batch: int | None) -> list[slice]:
    """As few slices of at most `micro_batch` images as can be, as equal as can be; the whole batch if that is None.

    >>> slices(16, 7)
    [slice(0, 5, None), slice(5, 10, None), slice(10, 16, None)]
    """
    count = math.ceil(batch_size / (micro_batch or batch_size))
    bounds = [batch_size * number // count for number in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(bounds)]


def largest(batch_size: int, micro_batch: int | None) -> int:
    """Images in the largest of the slices."""
    return max(rows.stop - rows.start for rows in slices(batch_size, micro_batch))
