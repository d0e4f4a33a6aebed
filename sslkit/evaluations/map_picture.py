"""Map as a picture: test images as points of a plane, near each other where their features are, in the colours of classes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from sslkit import draws, whole_files
from sslkit.errors import DataError, UserError
from sslkit.evaluations import layout
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.features import Features, require_finite
from sslkit.evaluations.scatter import scatter

_METHODS = {"tsne": layout.tsne, "umap": layout.umap}
_TITLES = {"tsne": "t-SNE", "umap": "UMAP"}
_NEEDED = {"tsne": ("matplotlib", "sklearn"), "umap": ("matplotlib", "umap")}
_INSTALL = {"matplotlib": '"sslkit[plots]"', "sklearn": '"sslkit[plots]"', "umap": "umap-learn"}


class MapPicture:
    """Draws `map.png`: features of the split `test` laid out in a plane by t-SNE or UMAP; gives no number.

    What is laid out are directions `h / ||h||`, so that near means a high cosine similarity, as in `knn`. t-SNE
    (arXiv:1301.3342, of van der Maaten and Hinton, JMLR 2008) is scikit-learn's, begun at the principal components; UMAP
    (arXiv:1802.03426) is umap-learn's. Both keep neighbours together. How far groups are apart, and how large they are, says
    little; nor does a map with clear groups show that a classifier would find them, or the reverse.

    Classes differ in colour and marker; of more than thirty classes the thirty with most images are
    told apart. Without labels all points have one colour.

    On one machine a picture depends on features and seed alone. It needs matplotlib and scikit-learn,
    `pip install "sslkit[plots]"`, and with `method = "umap"` also umap-learn.

    Args:
        method: how points are laid out.
        limit: images, drawn by the seed; all of them where they are fewer.
        neighbours: how many of them belong together: the perplexity of t-SNE, the `n_neighbors` of UMAP; at most a third of the
            images.
    """

    learns: ClassVar[bool] = False

    def __init__(
        self,
        *,
        method: Literal["tsne", "umap"] = "tsne",
        limit: Annotated[int, Gt(0)] = 2000,
        neighbours: Annotated[int, Gt(1)] = 30,
    ) -> None:
        self.method = method
        self.limit = limit
        self.neighbours = neighbours

    def check(self, train: Features, test: Features) -> None:  # noqa: ARG002 (all checks are called alike)
        """See to what it needs, before any training; features may still be of width 0.

        Raises:
            DataError: there are fewer than five images.
            UserError: a package that it needs is not installed.
        """
        for package in _NEEDED[self.method]:
            if not is_installed(package):
                raise UserError(
                    f'evaluate: map_picture with method = "{self.method}" needs {package}, which is not installed: '
                    f"pip install {_INSTALL[package]}"
                )
        if (number := min(self.limit, len(test.h))) < layout.LEAST:
            raise DataError(
                f"evaluate: 'map_picture' needs {layout.LEAST} images or more, and from {test.split!r} it gets {number}."
            )

    def __call__(self, test: Features, folder: Path, seed: int) -> Found:
        """Draw it into the folder.

        Raises:
            DataError: there are fewer than five images, or features are not finite.
            UserError: a package that it needs is not installed.
        """
        self.check(test, test)
        require_finite(test, "map_picture")
        shown = test.rows(np.sort(draws.shuffled(len(test.h), seed, "map_picture")[: self.limit]))
        points = _METHODS[self.method](shown.h, neighbours=self.neighbours, seed=draws.key(seed, "map_picture") % 2**32)
        number = f"{len(shown.h)} of {len(test.h)}" if len(shown.h) < len(test.h) else f"{len(shown.h)}"
        title = f"{_TITLES[self.method]} of the features of {number} images, split {test.split}"
        whole_files.write(folder / "map.png", scatter(points, shown, title=title))
        return []


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return find_spec(package) is not None
