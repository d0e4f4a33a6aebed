"""Shuffled batches: one epoch of representations that were computed once, in an order of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float32, Int64

from sslkit.draws import shuffled
from sslkit.evaluations.classifier import Batch


def shuffled_batches(
    h: Float32[np.ndarray, "n d"],
    labels: Int64[np.ndarray, "n *c"],
    *,
    epoch: int,
    batch_size: int,
    seed: int,
    name: str,
) -> Iterator[Batch]:
    """All rows once with their labels, the tail too; the order is a pure function of seed, name and epoch."""
    order = shuffled(len(h), seed, name, epoch)
    for rows in np.split(order, range(batch_size, len(order), batch_size)):
        yield torch.from_numpy(h[rows]), torch.from_numpy(labels[rows])
