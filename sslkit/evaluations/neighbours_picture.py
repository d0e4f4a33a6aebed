"""Neighbours as a picture: some test images, each beside the training images whose features are nearest."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Gt
from jaxtyping import Int64

from sslkit import draws, whole_files
from sslkit.errors import DataError
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.classes import classes_of, first_classes, named
from sslkit.evaluations.exact_search import ExactSearch
from sslkit.evaluations.features import EvaluationImages, Features, require_finite, require_one_encoder, require_same_classes
from sslkit.evaluations.nearness import Cosine
from sslkit.evaluations.neighbours import Neighbours, copies, nearest, scored
from sslkit.grid import Cell, drawn, framed, squared

SAME = (
    0,
    158,
    115,
)  # bluish green and vermilion of Okabe and Ito (jfly.uni-koeln.de/color), which no colour blindness mixes up
OTHER = (213, 94, 0)
UNKNOWN = (255, 255, 255)
FRAME = 5  # pixels
SIDE = 112  # pixels of an image's longer side


class NeighboursPicture:
    """Draws `neighbours.png`: a row a test image, then its k nearest training images; gives no number.

    Near is what has a high cosine similarity of h, which stands below each neighbour, as in `knn`; the search is that of
    `knn` with `backend = "torch"`, and of equally near images the earlier comes first. Where both images have classes, the
    frame is green if they share one, else orange. Where `train` and `test` are the same split, an image is not its own
    neighbour.

    Test images are drawn by the seed, one of each class before a second of any, and stand in the order of their classes.

    Args:
        k: neighbours of each image; all training images where they are fewer.
        num_queries: test images; all of them where they are fewer.
    """

    def __init__(self, *, k: Annotated[int, Gt(0)] = 8, num_queries: Annotated[int, Gt(0)] = 10) -> None:
        self.k = k
        self.num_queries = num_queries

    def check(self, train: Features, test: Features) -> None:
        """Raise DataError if there is nothing to be drawn; features may still be of width 0."""
        for features in (train, test):
            if len(features.h) == 0:
                raise DataError(f"evaluate: the split {features.split!r} has no images, and 'neighbours_picture' draws some.")
        require_one_encoder(train, test, "neighbours_picture")
        require_same_classes(train, test, "neighbours_picture")

    def __call__(self, train: Features, test: Features, images: EvaluationImages, folder: Path, seed: int) -> Found:
        """Draw it into the folder.

        Raises:
            DataError: a split is empty, its features are not finite, or the splits have different classes.
        """
        self.check(train, test)
        for features in (train, test):
            require_finite(features, "neighbours_picture")
        rows = queries(test, self.num_queries, seed)
        similarities, neighbours = neighbours_of(test.rows(rows), train, self.k)
        cells = []
        for row, near, found in zip(rows.tolist(), similarities.tolist(), neighbours.tolist(), strict=True):
            told = ", ".join(filter(None, [f"{test.split} {test.indices[row]}", named(classes_of(test, row), test.classes)]))
            line = [Cell(framed(squared(images.test_image(row), SIDE), UNKNOWN, width=FRAME), told)]
            for similarity, other in zip(near, found, strict=True):
                told = ", ".join(filter(None, [f"{similarity:.3f}", named(classes_of(train, other), train.classes)]))
                color = _color(classes_of(test, row), classes_of(train, other))
                line.append(Cell(framed(squared(images.train_image(other), SIDE), color, width=FRAME), told))
            cells.append(line)
        picture = drawn(cells, [f"{test.split} image", *_headings(len(cells[0]) - 1)], note=_note(train, test))
        file = io.BytesIO()
        picture.save(file, format="PNG", optimize=True)
        whole_files.write(folder / "neighbours.png", file.getvalue())
        return []


def queries(test: Features, number: int, seed: int) -> Int64[np.ndarray, " q"]:
    """Rows drawn by the seed, one of each class before a second of any, in the order of their classes."""
    order = draws.shuffled(len(test.h), seed, "neighbours_picture")
    classes = first_classes(test)
    by_class = np.argsort(classes[order], kind="stable")
    ordered = classes[order][by_class]
    turns = np.empty(len(order), np.int64)  # how many of its class an image has before it
    turns[by_class] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    chosen = order[np.argsort(turns, kind="stable")[:number]]
    return chosen[np.lexsort((chosen, classes[chosen]))]


def neighbours_of(wanted: Features, bank: Features, k: int) -> Neighbours:
    """The k rows of a bank that are nearest to each one wanted, with their cosines in float64; fewer where it has no more."""
    cosine = Cosine()
    search = ExactSearch(bank.h, nearness=cosine, backend="torch")
    there = min(k, len(bank.h) - copies(bank, wanted))
    found = [scored(near, bank, wanted.h[part], cosine) for part, near in nearest(search, bank, wanted, there)]
    return Neighbours(*(np.concatenate(field) for field in zip(*found, strict=True)))


def _color(one: frozenset[int], other: frozenset[int]) -> tuple[int, int, int]:
    if not (one and other):
        return UNKNOWN
    return SAME if one & other else OTHER


def _headings(k: int) -> list[str]:
    return [f"neighbour {number + 1}" for number in range(k)]


def _note(train: Features, test: Features) -> str:
    frames = ", frame: green where classes agree, orange where not" if not (train.labels is None or test.labels is None) else ""
    return f"neighbours among {len(train.h)} images of the split {train.split}, number: cosine similarity of features{frames}"
