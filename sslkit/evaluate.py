"""Encoder -> results: every evaluation of a recipe, each number with its protocol."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from sslkit import build, machine, results, signatures
from sslkit.datasets.contents import contents_of
from sslkit.datasets.images import Images, metric_of
from sslkit.embedding import Pair, Split
from sslkit.evaluation_checks import check_splits
from sslkit.evaluation_place import layer_of, place_of
from sslkit.evaluation_splits import EvaluationSplits
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.features import Features
from sslkit.feature_cache import FeatureCache
from sslkit.layer import at_layer
from sslkit.progress import Advance, Reporter
from sslkit.protocol import images_learnt, protocol, which_images
from sslkit.recipe import Recipe
from sslkit.results import Result
from sslkit.sections import Part
from sslkit.selection import for_last_training, for_selection, held_out_by, num_validation
from sslkit.versions import versions

BASELINES = ("pixels", "untrained")


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
        sections = [part.to_dict() for part in recipe.evaluation_augmentations]
        self.cache = FeatureCache(
            folder / "features", data=which_images(recipe.data), view=sections, device=self.device, report=report
        )
        self._contents: dict[str, str] = {}
        self.splits = EvaluationSplits(recipe, images, poll=poll)
        ours = self.digest.startswith(recipe.digest())
        check_splits(recipe, images, self.splits, pretraining=ours, say=report.say)

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
            layer = layer_of(part, who)
            network = at_layer(networks.encoder, networks.head, layer).eval()
            first = self.recipe.train.seed
            repeats = [
                self._found(part, seed, who=who, network=network, networks=networks, layer=layer)
                for seed in range(first, first + part.options["repeats"])
            ]
            about: dict[str, Any] = {"encoder": who, "epoch": epoch, "protocol": self._protocol(part, layer)}
            results.keep_arrays(self.folder, repeats[0], labels=self.splits.test(part).images.labels, **about)
            records += results.records(repeats, circumstances=self._circumstances(part), **about)
        return records

    def _circumstances(self, part: Part) -> dict[str, Any]:
        """By what a number was computed, and of which test images, as far as their contents are looked at."""
        name = part.options["test"]
        if name not in self._contents:
            self._contents[name] = contents_of(self.splits.test(part).images)
        computed = {"versions": versions(self.recipe), "device": self.device.type, "precision": "fp32"}  # nothing is autocast
        return {"computed": computed, "test_contents": self._contents[name]}

    def _protocol(self, part: Part, layer: str) -> dict[str, Any]:
        """What stands beside the numbers of an evaluation."""
        chosen, test = self.splits.chosen(part, self.recipe.train.seed), self.splits.test(part).images
        return protocol(
            self.recipe,
            part,
            digest=self.digest,
            layer=layer,
            num_train=len(chosen.images),
            num_validation=num_validation(build.component(part), chosen, self.splits.validation(part)),
            num_test=len(test),
            metric=metric_of(test),
        )

    def _found(self, part: Part, seed: int, *, who: str, network: nn.Module, networks: Networks, layer: str) -> Found:
        """What an evaluation finds; what it asks for is made only then."""
        self.poll()
        evaluation, rows = build.component(part), self.splits.rows(part, seed)
        train, validation, test = self.splits.train(part), self.splits.validation(part), self.splits.test(part)
        called = signatures.written(type(evaluation), "__call__")
        assert called is not None

        def features(split: Split) -> Features:
            return self.cache.features(network, split, encoder=who, layer=layer)

        def found(progress: Advance) -> Found:
            chosen = self.splits.chosen(part, seed, progress=progress)
            offered: dict[str, Callable[[], Any]] = {
                "train": lambda: features(train) if rows is None else features(train).rows(rows),
                "test": lambda: features(test),
                "validation": lambda: None if validation is None else features(validation),
                "encoder": lambda: network,
                "head": lambda: networks.head,
                "online": lambda: networks.online if layer == "h" else None,
                "images": lambda: Pair(chosen, test),
                "selection": lambda: for_selection(chosen, validation, **held_out_by(evaluation)),
                "final": lambda: for_last_training(chosen, validation, test),
                "folder": lambda: place_of(part, self.recipe.evaluate, who=who, folder=self.folder),
                "metric": lambda: metric_of(test.images),
                "seed": lambda: seed,
            }
            return list(evaluation(**{name: make() for name, make in signatures.declared(called, offered).items()}))

        needed = {one.name for one in signatures.parameters_of(called) if one.default is one.empty}
        if needed.isdisjoint(("images", "selection", "final")):
            return found(lambda _: None)
        num_train = len(self.splits.chosen(part, seed).images)
        with self.report.work(f"{who}: {part.name}", images_learnt(evaluation, num_train)) as advance:
            return found(advance)
