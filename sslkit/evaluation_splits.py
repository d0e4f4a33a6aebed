"""Evaluation splits: what the evaluations of a recipe look at, each split opened once, and the part that each is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from sslkit import build, machine
from sslkit.datasets.images import Images
from sslkit.datasets.subset import Subset
from sslkit.embedding import Split
from sslkit.errors import DataError
from sslkit.progress import Advance
from sslkit.recipe import Recipe
from sslkit.sections import Part
from sslkit.selection import labelled_rows

_KEYS = ("train", "test", "validation")


class EvaluationSplits:
    """The splits that the `evaluate` sections of a recipe name, seen through its evaluation view.

    Args:
        recipe: its `evaluate` sections name the splits.
        images: split name -> images; the dataset of the recipe, or a stand-in.
        poll: called between batches; it stops the work by raising.

    Raises:
        DataError: a split can't be opened; the place is `evaluate.N`.
    """

    def __init__(self, recipe: Recipe, images: Callable[[str], Images], *, poll: Callable[[], None]) -> None:
        view, workers = build.view(recipe.evaluation_augmentations), machine.num_workers(recipe.data.options["workers"])
        self._of: dict[str, Split] = {}
        for number, part in enumerate(recipe.evaluate):
            for key in _KEYS:
                name = part.options[key]
                if name is not None and name not in self._of:
                    opened = _opened(images, name, f"evaluate.{number} ({part.name}): {key}")
                    self._of[name] = Split(opened, name, view=view, seed=recipe.train.seed, poll=poll, workers=workers)

    def __iter__(self) -> Iterator[Split]:
        """Each split once."""
        return iter(self._of.values())

    def train(self, part: Part) -> Split:
        """The training split of an evaluation, all of it."""
        return self._of[part.options["train"]]

    def test(self, part: Part) -> Split:
        """What an evaluation judges by."""
        return self._of[part.options["test"]]

    def validation(self, part: Part) -> Split | None:
        """On what an evaluation chooses its settings, where it names a split for it."""
        return self._of.get(part.options["validation"])

    def rows(self, part: Part, seed: int) -> np.ndarray | None:
        """The rows of the training split that `labels_per_class` or `labels_fraction` leaves, or None for all."""
        asked = {key: part.options[key] for key in ("labels_per_class", "labels_fraction")}
        return labelled_rows(self.train(part), **asked, seed=seed)

    def chosen(self, part: Part, seed: int, *, progress: Advance | None = None) -> Split:
        """The training split of an evaluation as far as its labels may be used."""
        split, rows = self.train(part), self.rows(part, seed)
        return split.of(split.images if rows is None else Subset(split.images, rows), seed=seed, progress=progress)


def _opened(images: Callable[[str], Images], name: str, place: str) -> Images:
    try:
        return images(name)
    except DataError as error:
        raise type(error)(f"{place}: {error}") from error
