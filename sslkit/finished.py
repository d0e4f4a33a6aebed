"""A finished run as a comparison reads it: what was trained, its numbers, and which images it got right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from sslkit import checkpoint
from sslkit.errors import DataError, RunFolderError, UserError
from sslkit.folder import existing
from sslkit.origin import origin
from sslkit.recipe import LOCATIONS, fixed, leaves
from sslkit.results import Result, arrays_file, predictions_of

_IDENTIFIES_THE_RUN = ("seed", "recipe")
# What moves weights and stands in no section of the recipe.
_DERIVED = ("resolved.num_images", "resolved.precision", "resolved.forked_from.step", "resolved.forked_from.recipe")
# Of the data, what says nothing of which images a split of an evaluation holds.
_NOT_WHICH_IMAGES = ("data.split", "data.limit", "data.memory_gib", *LOCATIONS)


@dataclass(frozen=True)
class Number:
    """A number of the trained encoder after its last epoch.

    Args:
        name: such as `knn_top1`.
        value: the number, or the mean of its repeats.
        spread: the standard deviation of its repeats, if there are several.
        epoch: the last one.
        predicted: whether it counts images which are right, and what was said of each is kept.
        protocol: as it stands in results.json.
        comparable: dotted keys and values of all that two numbers must share to be compared: the protocol without what
            identifies the run, which data, and the contents of the test images.
    """

    name: str
    value: float
    spread: float | None
    epoch: int
    predicted: bool
    protocol: Mapping[str, Any]
    comparable: Mapping[str, Any]


class Answers(NamedTuple):
    """The labels of a test set, and which of its images were right."""

    labels: Int64[np.ndarray, " n"]
    right: Bool[np.ndarray, " n"]


@dataclass(frozen=True)
class FinishedRun:
    """What a comparison knows of a run.

    Args:
        folder: the run folder.
        seed: `train.seed`.
        recipe: dotted keys and values of all that moves weights except the seed: of the recipe, the number of images and
            the precision that it came to, and what the run was forked from.
        versions: of sslkit, Python, torch and plugins, as `resolved.versions.torch`.
        numbers: of the trained encoder after the last epoch.
    """

    folder: Path
    seed: int
    recipe: Mapping[str, Any]
    versions: Mapping[str, Any]
    numbers: tuple[Number, ...]

    @classmethod
    def read(cls, folder: Path) -> FinishedRun:
        """The run in a folder.

        Raises:
            UserError: there is no run, it is not finished, or its files are damaged.
        """
        run = existing(folder)
        resolved = run.read_resolved()
        results, finished = run.read_results()
        if not finished:
            raise UserError(
                f"{folder}: this run is not finished, so its last epoch has no numbers. `sslkit run` goes on with it."
            )
        recipe = fixed(resolved)
        seed = recipe.pop("train.seed", None)
        if not isinstance(seed, int):
            raise RunFolderError(f"{run.resolved}: has no whole number train.seed. {origin(folder)}")
        derived = {f"resolved.{key}": value for key, value in leaves(resolved.get("resolved", {}))}
        recipe |= {key: value for key, value in derived.items() if key in _DERIVED}
        versions = {key: value for key, value in derived.items() if key.startswith("resolved.versions.")}
        return cls(folder, seed, recipe, versions, _numbers(results, recipe))

    def answers(self, number: Number) -> Answers:
        """Which test images are right, as a number that ends in `_top1` counts them; the first repeat's, if there are several.

        Raises:
            DataError: the run does not hold the predictions, or an image may be of several classes.
            CheckpointError: their file is damaged.
        """
        key = predictions_of(number.name)
        if not number.predicted or key is None:
            raise DataError(f"{number.name}: the evaluation in {self.folder} did not give what it said of each image, {key!r}.")
        path = arrays_file(self.folder, encoder="trained", protocol=number.protocol)
        stored = checkpoint.load(path) if path.exists() else None
        if stored is None or stored.facts.get("epoch") != number.epoch or not {key, "labels"} <= set(stored.tensors):
            raise DataError(
                f"{number.name}: {path}, in which it stands what was said of each image, is missing or of another epoch. Run "
                f"`sslkit eval {self.folder}` once."
            )
        labels, predicted = (stored.tensors[name].numpy() for name in ("labels", key))
        if labels.ndim > 1:
            raise DataError(f"{number.name}: an image may be of several classes; images are compared that are right or wrong.")
        return Answers(labels, predicted == labels)


def _numbers(results: list[Result], recipe: Mapping[str, Any]) -> tuple[Number, ...]:
    """The numbers of the trained encoder after the last epoch, in the order in which they were found."""
    which = {key: recipe[key] for key in recipe if key.startswith("data.") and key not in _NOT_WHICH_IMAGES}
    trained = [result for result in results if result["encoder"] == "trained"]
    last = max((result["epoch"] for result in trained), default=0)
    return tuple(
        Number(
            name=result["name"],
            value=result["value"],
            spread=result.get("spread"),
            epoch=last,
            predicted=result.get("predicted", False),
            protocol=result["protocol"],
            comparable={**_without_the_run(result["protocol"]), **which, **_contents(result)},
        )
        for result in trained
        if result["epoch"] == last
    )


def _contents(result: Result) -> dict[str, Any]:
    return {"test_contents": result["test_contents"]} if "test_contents" in result else {}


def _without_the_run(protocol: Mapping[str, Any]) -> dict[str, Any]:
    return dict(leaves({key: value for key, value in protocol.items() if key not in _IDENTIFIES_THE_RUN}))
