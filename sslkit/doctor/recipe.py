"""Recipe: whether it is right, whether its images are there, and whether its run folder takes it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import torch

from sslkit import build, evaluation_checks, shipped
from sslkit.datasets.images import Images
from sslkit.doctor.findings import Asked, Finding, error, ok, warning
from sslkit.errors import RecipeError, UserError
from sslkit.evaluation_splits import EvaluationSplits
from sslkit.facts import facts
from sslkit.folder import RunFolder
from sslkit.recipe import Recipe
from sslkit.show import to_be_counted


@cache
def recipe_of(asked: Asked) -> Recipe:
    """The recipe that is asked about; RecipeError with all that is wrong in it."""
    assert asked.recipe is not None
    return Recipe.load(shipped.find(asked.recipe), asked.overrides)


@cache
def images_of(asked: Asked, split: str) -> Images:
    """A split, its images counted and none decoded; DataError without it."""
    return build.images(to_be_counted(recipe_of(asked)), split)


def check(asked: Asked) -> Iterator[Finding]:
    """All that `sslkit check` finds."""
    try:
        recipe = recipe_of(asked)
        build.check(recipe)
    except RecipeError as problem:
        yield from (error("recipe", str(one)) for one in problem.problems)
    else:
        yield ok("recipe", f"{asked.recipe}: nothing wrong; recipe {recipe.digest()}")


def data(asked: Asked) -> Iterator[Finding]:
    """Whether the images that are trained on are there, and how many steps they make."""
    recipe = recipe_of(asked)
    parameters, split = recipe.data.parameters, recipe.data.options["split"]
    try:
        images = build.training_images(recipe, partial(images_of, asked))
    except UserError as problem:
        if parameters.get("download") is True:
            yield warning("data", f"not here yet: {problem}", "The run downloads it when it begins.")
        else:
            yield error("data", str(problem))
        return
    numbers = facts(recipe, len(images))
    where = f" in {parameters['root']}" if "root" in parameters else ""
    classes = build.num_classes(images)
    labels = "without labels" if images.labels is None else f"of {classes} classes" if classes else "of several classes each"
    if images.labels is None and build.needs_labels(recipe):
        yield error("data", f"the split {split!r}{where} has no labels, and the training learns from them.")
    text = f"{split}{where}: {len(images)} images {labels}, not decoded; {numbers.steps_per_epoch} steps an epoch"
    yield ok("data", f"{text}, {numbers.steps} in all")


def evaluations(asked: Asked) -> Iterator[Finding]:
    """Whether each evaluation has its layer, and its splits, with the labels that it needs."""
    recipe, images = recipe_of(asked), partial(images_of, asked)
    if next(iter(data(asked))).state != "ok":
        return  # which is said already
    with torch.device("meta"):
        evaluation_checks.check_layers(recipe, build.method(recipe, in_channels=build.channels_of(recipe)).head)
    splits, said = EvaluationSplits(recipe, images, poll=lambda: None), list[str]()
    evaluation_checks.check_splits(recipe, images, splits, pretraining=True, say=said.append)
    yield from (warning("evaluations", sentence, "A run says the same, and goes on.") for sentence in said)
    found = ", ".join(f"{split.name} with {len(split.images)} images" for split in splits)
    yield ok("evaluations", f"{len(recipe.evaluate)}{f', on {found}' if found else ', the recipe asks for no number'}")


def folder(asked: Asked) -> Iterator[Finding]:
    """Whether a run of this recipe may begin in its folder, or go on."""
    place = RunFolder(Path(asked.folder))
    before = place.claim(differences=recipe_of(asked).differences)
    if before is None:
        yield ok("run folder", f"{place.path}: a run begins there anew")
    elif place.read_results()[1]:
        yield ok("run folder", f"{place.path}: holds this run, which is complete")
    else:
        yield ok("run folder", f"{place.path}: holds this run, and it goes on from {place.last or 'its first step'}")
