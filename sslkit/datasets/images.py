"""Images: what every dataset offers, written down as a type."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8

Metric = Literal["top1", "mean_per_class", "map"]  # right first guesses; their mean over the classes; VOC 2007's mean AP


@runtime_checkable
class Images(Protocol):
    """What a dataset offers; see `sslkit.datasets`."""

    channels: int
    classes: tuple[str, ...] | None
    labels: Int64[np.ndarray, "n *c"] | None

    def __len__(self) -> int:
        """Number of images."""
        ...

    def sizes(self, indices: Int64[np.ndarray, " m"]) -> Int64[np.ndarray, "m 2"]:
        """(height, width) in pixels."""
        ...

    def read(self, index: int, reduction: int) -> UInt8[np.ndarray, "h w c"]:
        """One image, perhaps at a fraction of its size."""
        ...


def metric_of(images: Images) -> Metric:
    """By which number a classifier of these images is judged: the dataset's own as far as its labels allow, else top-1."""
    if images.labels is not None and images.labels.ndim > 1:
        return "map"
    own: Metric = getattr(images, "metric", "top1")
    return "top1" if own == "map" else own
