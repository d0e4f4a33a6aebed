"""MINE: how often the nearest class mean is the right one."""

import numpy as np

from sslkit import Features
from sslkit.errors import DataError


class Mine:
    """Give each test image the class whose mean training feature is nearest (nearest centroid, doi:10.1073/pnas.082099299)."""

    law = "euclidean, class means"

    def check(self, train: Features, test: Features) -> None:
        """Called before any training, so that missing labels cost none."""
        for split in (train, test):
            if split.labels is None or split.labels.ndim > 1:
                raise DataError(f"the images of {split.split!r} have not one label each.")

    def __call__(self, train: Features, test: Features) -> list[tuple[str, float]]:
        """Named numbers of features `h (n, d)` and labels `(n,)`."""
        assert train.labels is not None, "they have been checked"
        known = np.unique(train.labels)
        means = np.stack([train.h[train.labels == label].mean(axis=0) for label in known])  # (classes, d)
        distance = ((test.h[:, None] - means) ** 2).sum(axis=2)  # (n, classes)
        return [("MINE_top1", float((known[distance.argmin(axis=1)] == test.labels).mean()))]
