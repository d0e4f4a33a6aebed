"""Encoder -> results: every evaluation of a recipe, each number with its protocol."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from sslkit import build, machine, results, signatures
from sslkit.datasets.images import Images, metric_of
from sslkit.datasets.subset import Subset
from sslkit.embedding import Pair, Split
from sslkit.errors import DataError, UserError
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.features import Features
from sslkit.feature_cache import FeatureCache
from sslkit.layer import at_layer
from sslkit.leaks import refuse_leaks
from sslkit.online_check import check_online
from sslkit.progress import Advance, Reporter
from sslkit.protocol import images_learnt, protocol, which_images
from sslkit.recipe import Recipe
from sslkit.results import Result
from sslkit.sections import Part
from sslkit.selection import for_last_training, for_selection, labelled_rows

BASELINES = ("pixels", "untrained")
_SPLITS = ("train", "test", "validation")


class Networks(NamedTuple):
    """What is evaluated: f, g, and the classifier on h that learnt beside them, where there is one."""

    encoder: nn.Module
    head: nn.Module
    online: nn.Module | None = None


class Evaluator:
    """The evaluations of a recipe; splits are opened and checked at once, so that a mistake costs no training.

    Args:
        recipe: its `evaluate` sections say what is evaluated.
        images: split name -> images; the dataset of the recipe, or a stand-in.
        folder: where features are kept, and evaluations leave pictures and tables; those of a baseline, of another layer than
            h, or of a second evaluation of one name in a folder of their own below it, such as `untrained` or `z`.
        report: where progress is shown.
        poll: called between batches; it stops the work by raising.
        digest: of the recipe that was trained, where this one has other images.

    Raises:
        DataError: a split is missing, has no labels that an evaluation needs, too few images, or some of another split that may
            share none with it; the place is `evaluate.N`.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Callable[[str], Images],
        *,
        folder: Path,
        report: Reporter,
        poll: Callable[[], None],
        digest: str | None = None,
    ) -> None:
        self.recipe = recipe
        self.digest = recipe.digest() if digest is None else digest
        self.device = machine.device()
        self.folder = folder
        self.report = report
        self.poll = poll
        self.view = build.view(recipe.evaluation_augmentations)
        sections = [part.to_dict() for part in recipe.evaluation_augmentations]
        self.cache = FeatureCache(
            folder / "features", data=which_images(recipe.data), view=sections, device=self.device, report=report
        )
        options: dict[str, Any] = {"view": self.view, "seed": recipe.train.seed, "poll": poll}
        options["workers"] = machine.num_workers(recipe.data.options["workers"])
        self.splits: dict[str, Split] = {}
        for number, part in enumerate(recipe.evaluate):
            for key in _SPLITS:
                name = part.options[key]
                if name is not None and name not in self.splits:
                    self.splits[name] = Split(_opened(images, name, f"evaluate.{number} ({part.name}): {key}"), name, **options)
        for number, part in enumerate(recipe.evaluate):
            self._check(number, part, images)

    def _check(self, number: int, part: Part, images: Callable[[str], Images]) -> None:
        """Let an evaluation look at the labels before any training, as features of width 0."""
        try:
            seed = self.recipe.train.seed
            train, test = self._chosen(part, seed), self.splits[part.options["test"]]
            validation = self.splits.get(part.options["validation"])
            evaluation = build.component(part)
            if "online" in signatures.declared(type(evaluation).__call__, {"online": None}):
                check_online(part, self.recipe, images=images, train=self.splits[part.options["train"]], test=test)
            check = getattr(evaluation, "check", None)
            if check is not None:
                more = {"validation": None if validation is None else _labels_of(validation), "seed": seed}
                check(_labels_of(train), _labels_of(test), **signatures.declared(check, more))
            called = signatures.written(type(evaluation), "__call__")
            if called is not None and signatures.declared(called, {"selection": None, "final": None}):
                for_selection(train, validation)
                for_last_training(train, validation, test)
            if getattr(evaluation, "learns", True):
                refuse_leaks(self.splits[part.options["train"]], validation, test)
        except DataError as error:
            raise DataError(f"evaluate.{number} ({part.name}): {error}") from error

    def check_layers(self, head: nn.Module) -> None:
        """Raise UserError if an evaluation asks for a layer that the head has not."""
        for number, part in enumerate(self.recipe.evaluate):
            try:
                at_layer(nn.Identity(), head, part.options["layer"])
            except UserError as error:
                raise UserError(f"evaluate.{number} ({part.name}): {error}") from None

    def _rows(self, part: Part, seed: int) -> np.ndarray | None:
        """The rows of the training split that `labels_per_class` or `labels_fraction` leaves, or all."""
        asked = {key: part.options[key] for key in ("labels_per_class", "labels_fraction")}
        return labelled_rows(self.splits[part.options["train"]], **asked, seed=seed)

    def _chosen(self, part: Part, seed: int, *, progress: Advance | None = None) -> Split:
        split, rows = self.splits[part.options["train"]], self._rows(part, seed)
        return split.of(split.images if rows is None else Subset(split.images, rows), seed=seed, progress=progress)

    def due(self, epoch: int) -> list[Part]:
        """The evaluations that a recipe wants after an epoch, the last one apart."""
        return [
            part for part in self.recipe.evaluate if part.options["every_epochs"] and epoch % part.options["every_epochs"] == 0
        ]

    def trained(
        self, encoder: nn.Module, head: nn.Module, *, epoch: int, parts: Sequence[Part], online: nn.Module | None = None
    ) -> list[Result]:
        """Results of the encoder that is being trained, and of the classifier that learns beside it; it works on copies."""
        networks = Networks(copy.deepcopy(encoder), copy.deepcopy(head), copy.deepcopy(online))
        return self._results("trained", networks, epoch=epoch, parts=parts)

    def baselines(self, *, in_channels: int) -> list[Result]:
        """Results of raw pixels and of the untrained encoder, where the recipe asks for them."""
        found = []
        for name in BASELINES:
            parts = [part for part in self.recipe.evaluate if name in part.options["baselines"]]
            if parts and name == "pixels":
                found += self._results(name, Networks(nn.Flatten(), nn.Identity()), epoch=0, parts=parts)
            elif parts:
                method = build.method(self.recipe, in_channels=in_channels)
                found += self._results(name, Networks(method.backbone, method.head), epoch=0, parts=parts)
            self.cache.forget(name)
        return found

    def _results(self, who: str, networks: Networks, *, epoch: int, parts: Sequence[Part]) -> list[Result]:
        for network in (networks.encoder, networks.head):
            network.to(self.device).eval()
        records = []
        for part in parts:
            layer = _layer(part, who)
            network = at_layer(networks.encoder, networks.head, layer).eval()
            first = self.recipe.train.seed
            repeats = [
                self._found(part, seed, who=who, network=network, networks=networks, layer=layer)
                for seed in range(first, first + part.options["repeats"])
            ]
            num_train, test = len(self._chosen(part, first).images), self.splits[part.options["test"]].images
            facts: dict[str, Any] = {"num_train": num_train, "num_test": len(test), "metric": metric_of(test)}
            stated = protocol(self.recipe, part, digest=self.digest, layer=layer, **facts)
            about: dict[str, Any] = {"encoder": who, "epoch": epoch, "protocol": stated}
            results.keep_arrays(self.folder, repeats[0], labels=test.labels, **about)
            records += results.records(repeats, **about)
        return records

    def _place(self, part: Part, who: str, layer: str) -> Path:
        """Where pictures go: of h of the trained encoder into the folder itself, of others into one of their own below it.

        A second evaluation of one name draws into a folder such as `neighbours_picture-2`.
        """
        before = takewhile(lambda one: one is not part, self.recipe.evaluate)
        asked = (one for one in before if who == "trained" or who in one.options["baselines"])
        number = 1 + sum((one.name, _layer(one, who)) == (part.name, layer) for one in asked)
        words = [
            *(word for word in (who, layer) if word not in ("trained", "h")),
            *([f"{part.name}-{number}"] if number > 1 else []),
        ]
        return self.folder.joinpath(*words)

    def _found(self, part: Part, seed: int, *, who: str, network: nn.Module, networks: Networks, layer: str) -> Found:
        """What an evaluation finds; what it asks for is made only then."""
        self.poll()
        evaluation, rows = build.component(part), self._rows(part, seed)
        validation, test = self.splits.get(part.options["validation"]), self.splits[part.options["test"]]
        called = signatures.written(type(evaluation), "__call__")
        assert called is not None

        def features(key: str) -> Features:
            return self.cache.features(network, self.splits[part.options[key]], encoder=who, layer=layer)

        def found(progress: Advance) -> Found:
            offered: dict[str, Callable[[], Any]] = {
                "train": lambda: features("train") if rows is None else features("train").rows(rows),
                "test": lambda: features("test"),
                "validation": lambda: None if validation is None else features("validation"),
                "encoder": lambda: network,
                "head": lambda: networks.head,
                "online": lambda: networks.online if layer == "h" else None,
                "images": lambda: Pair(self._chosen(part, seed, progress=progress), test),
                "selection": lambda: for_selection(self._chosen(part, seed, progress=progress), validation),
                "final": lambda: for_last_training(self._chosen(part, seed, progress=progress), validation, test),
                "folder": lambda: self._place(part, who, layer),
                "metric": lambda: metric_of(test.images),
                "seed": lambda: seed,
            }
            return list(evaluation(**{name: make() for name, make in signatures.declared(called, offered).items()}))

        needed = {one.name for one in signatures.parameters_of(called) if one.default is one.empty}
        if needed.isdisjoint(("images", "selection", "final")):
            return found(lambda _: None)
        num_train = len(self._chosen(part, seed).images)
        with self.report.work(f"{who}: {part.name}", images_learnt(evaluation, num_train)) as advance:
            return found(advance)


def _labels_of(split: Split) -> Features:
    """What is known of a split before anything is trained, as features of width 0."""
    images = split.images
    return Features(np.zeros((len(images), 0), np.float32), images.labels, images.classes, split.name)


def _layer(part: Part, who: str) -> str:
    """What is evaluated; of raw pixels there is one layer only."""
    return "h" if who == "pixels" else str(part.options["layer"])


def _opened(images: Callable[[str], Images], name: str, place: str) -> Images:
    try:
        return images(name)
    except DataError as error:
        raise type(error)(f"{place}: {error}") from error
