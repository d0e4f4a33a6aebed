"""Encoder -> results: every evaluation of a recipe, each number with its protocol."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sslkit import build, machine, signatures
from sslkit.datasets.images import Images
from sslkit.datasets.subset import Subset, balanced
from sslkit.embedding import Pair, Split, embed
from sslkit.errors import DataError
from sslkit.evaluations.features import Features
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.sections import Part

Result = dict[str, Any]
BASELINES = ("pixels", "untrained")


def merged(before: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """All results; of two of the same encoder, name, epoch and protocol the new one."""
    key = operator.itemgetter("encoder", "name", "epoch", "protocol")
    replaced = [key(result) for result in new]
    return [*(result for result in before if key(result) not in replaced), *new]


class Evaluator:
    """The evaluations of a recipe; splits are opened and checked at once, so that a mistake costs no training.

    Args:
        recipe: its `evaluate` sections say what is evaluated.
        images: split name -> images; the dataset of the recipe, or a stand-in.
        folder: where evaluations may leave pictures and tables.
        report: where progress is shown.
        poll: called between batches; it stops the work by raising.

    Raises:
        DataError: a split is missing, has no labels that an evaluation needs, or too few images; the place is `evaluate.N`.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Callable[[str], Images],
        *,
        folder: Path,
        report: Reporter,
        poll: Callable[[], None],
    ) -> None:
        self.recipe = recipe
        self.device = machine.device()
        self.folder = folder
        self.report = report
        self.poll = poll
        self.view = build.view(recipe.evaluation_augmentations)
        names = sorted({part.options[key] for part in recipe.evaluate for key in ("train", "test")})
        options: dict[str, Any] = {"view": self.view, "seed": recipe.train.seed, "poll": poll}
        options["workers"] = machine.num_workers(recipe.data.options["workers"])
        self.splits = {name: Split(_opened(images, name), name, **options) for name in names}
        for number, part in enumerate(recipe.evaluate):
            self._check(number, part)

    def _check(self, number: int, part: Part) -> None:
        """Let an evaluation look at the labels before any training, as features of width 0."""
        try:
            train, test = self._chosen(part), self.splits[part.options["test"]]
            check = getattr(build.component(part), "check", None)
            if check is not None:
                check(
                    *(
                        Features(np.zeros((len(s.images), 0), np.float32), s.images.labels, s.images.classes, s.name)
                        for s in (train, test)
                    )
                )
        except DataError as error:
            raise DataError(f"evaluate.{number} ({part.name}): {error}") from error

    def _rows(self, part: Part) -> np.ndarray | None:
        """The rows of the training split that `labels_per_class` leaves, or all."""
        split, per_class = self.splits[part.options["train"]], part.options["labels_per_class"]
        if per_class is None:
            return None
        if split.images.labels is None:
            raise DataError(f"labels_per_class: the split {split.name!r} has no labels.")
        return balanced(split.images.labels, per_class, seed=self.recipe.train.seed, split=split.name)

    def _chosen(self, part: Part) -> Split:
        split, rows = self.splits[part.options["train"]], self._rows(part)
        if rows is None:
            return split
        return Split(
            Subset(split.images, rows), split.name, view=split.view, seed=split.seed, workers=split.workers, poll=split.poll
        )

    def due(self, epoch: int) -> list[Part]:
        """The evaluations that a recipe wants after an epoch, the last one apart."""
        return [
            part for part in self.recipe.evaluate if part.options["every_epochs"] and epoch % part.options["every_epochs"] == 0
        ]

    def trained(self, encoder: nn.Module, head: nn.Module, *, epoch: int, parts: Sequence[Part]) -> list[Result]:
        """Results of the encoder that is being trained; it works on a copy."""
        return self._results("trained", copy.deepcopy(encoder), copy.deepcopy(head), epoch=epoch, parts=parts)

    def baselines(self, *, in_channels: int) -> list[Result]:
        """Results of raw pixels and of the untrained encoder, where the recipe asks for them."""
        results = []
        for name in BASELINES:
            parts = [part for part in self.recipe.evaluate if name in part.options["baselines"]]
            if parts:
                encoder = nn.Flatten() if name == "pixels" else build.backbone(self.recipe, in_channels=in_channels)
                results += self._results(name, encoder, nn.Identity(), epoch=0, parts=parts)
        return results

    def _results(self, who: str, encoder: nn.Module, head: nn.Module, *, epoch: int, parts: Sequence[Part]) -> list[Result]:
        encoder, head = encoder.to(self.device).eval(), head.to(self.device).eval()
        seen: dict[str, Features] = {}  # each split is embedded once for all evaluations
        results = []
        for part in parts:
            self.poll()
            evaluation, rows = build.component(part), self._rows(part)
            offered = self._offered(part, rows, who=who, encoder=encoder, head=head, seen=seen)
            called = signatures.written(type(evaluation), "__call__")
            assert called is not None
            found = evaluation(**{name: make() for name, make in signatures.declared(called, offered).items()})
            protocol = self._protocol(part, evaluation, rows)
            results += [
                {"encoder": who, "name": name, "value": float(value), "epoch": epoch, "protocol": protocol}
                for name, value in found
            ]
        return results

    def _offered(
        self,
        part: Part,
        rows: np.ndarray | None,
        *,
        who: str,
        encoder: nn.Module,
        head: nn.Module,
        seen: dict[str, Features],
    ) -> dict[str, Callable[[], Any]]:
        """What an evaluation may ask for; made only if it does."""

        def features(key: str) -> Features:
            name = part.options[key]
            if name not in seen:
                seen[name] = self._embedded(who, encoder, self.splits[name])
            return seen[name]

        return {
            "train": lambda: _kept(features("train"), rows),
            "test": lambda: features("test"),
            "encoder": lambda: encoder,
            "head": lambda: head,
            "images": lambda: Pair(self._chosen(part), self.splits[part.options["test"]]),
            "folder": lambda: self.folder,
            "seed": lambda: self.recipe.train.seed,
        }

    def _embedded(self, who: str, encoder: nn.Module, split: Split) -> Features:
        with self.report.work(f"{who}: features of {split.name}", len(split.images)) as advance:
            return embed(encoder, split, device=self.device, progress=advance)

    def _protocol(self, part: Part, evaluation: Any, rows: np.ndarray | None) -> dict[str, Any]:
        """All that a number depends on and that another person needs to get it again."""
        train, test = (self.splits[part.options[key]] for key in ("train", "test"))
        section = part.to_dict()
        section.pop("every_epochs", None)
        section.pop("baselines", None)
        return {
            "evaluation": section.pop("name"),
            "law": getattr(evaluation, "protocol", ""),
            "features": "h",
            **section,
            "train_images": len(train.images) if rows is None else len(rows),
            "test_images": len(test.images),
            "view": [one.to_dict() for one in self.recipe.evaluation_augmentations],
            "seed": self.recipe.train.seed,
            "recipe": self.recipe.digest(),
        }


def _opened(images: Callable[[str], Images], name: str) -> Images:
    try:
        return images(name)
    except DataError as error:
        raise DataError(f"evaluate: an evaluation asks for the split {name!r}: {error}") from error


def _kept(features: Features, rows: np.ndarray | None) -> Features:
    if rows is None:
        return features
    assert features.labels is not None
    return Features(features.h[rows], features.labels[rows], features.classes, features.split)
