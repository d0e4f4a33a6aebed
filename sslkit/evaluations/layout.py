"""Layout: features -> points of a plane that keep neighbours together, by t-SNE or UMAP."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from sslkit.evaluations.blocks import unit

LEAST = 5  # rows: of fewer, no neighbourhood can be told

Points = Float64[np.ndarray, "n 2"]


def tsne(h: Float32[np.ndarray, "n d"], *, neighbours: int, seed: int) -> Points:
    """A point for each row: scikit-learn's t-SNE of directions, in one thread, as several add up in any order.

    Args:
        h: features, at least five rows.
        neighbours: the perplexity; at most a third of the other rows.
        seed: below 2^32.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    directions = unit(np.asarray(h, np.float64))
    differ = directions.shape[1] > 1 and bool(np.ptp(directions, axis=0).max() > 0)
    with threadpool_limits(1):
        method = TSNE(
            perplexity=min(neighbours, (len(h) - 1) / 3),
            init="pca" if differ else "random",  # what is all the same has no principal components
            random_state=seed,
        )
        return np.asarray(method.fit_transform(directions), np.float64)


def umap(h: Float32[np.ndarray, "n d"], *, neighbours: int, seed: int) -> Points:
    """A point for each row: umap-learn's UMAP of directions, in one thread.

    Args:
        h: features, at least five rows.
        neighbours: `n_neighbors`; at most a third of the other rows, and at least 2.
        seed: below 2^32.
    """
    from umap import UMAP

    few = max(2, min(neighbours, (len(h) - 1) // 3))
    method = UMAP(n_neighbors=few, random_state=seed, n_jobs=1)
    return np.asarray(method.fit_transform(unit(np.asarray(h, np.float64))), np.float64)
