"""Evaluation checks: what shows of an evaluation before anything is trained, so that a mistake costs no training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import nn

from sslkit import build, signatures
from sslkit.datasets.images import Images
from sslkit.embedding import Split
from sslkit.errors import DataError, UserError
from sslkit.evaluation_keys import check_keys
from sslkit.evaluation_splits import EvaluationSplits
from sslkit.evaluations.features import Features
from sslkit.layer import at_layer
from sslkit.leaks import refuse_leaks, refuse_seen_in_pretraining
from sslkit.online_check import check_online
from sslkit.recipe import Recipe
from sslkit.sections import Part
from sslkit.selection import for_last_training, for_selection, held_out_by
from sslkit.unlearnt import unlearnt_classes


def check_splits(
    recipe: Recipe,
    images: Callable[[str], Images],
    splits: EvaluationSplits,
    *,
    pretraining: bool,
    say: Callable[[str], None],
) -> None:
    """Let each evaluation look at the labels, as features of width 0.

    Args:
        recipe: its `evaluate` sections are checked.
        images: split name -> images.
        splits: what the sections name, opened.
        pretraining: whether these images are those of the pretraining too.
        say: told of what makes a number worse than it looks, once.

    Raises:
        DataError: labels that an evaluation needs are missing, images are too few or have too few channels, a baseline can't be
            had, or two splits share images and must not; the place is `evaluate.N`.
    """
    for number, part in enumerate(recipe.evaluate):
        try:
            _check(part, recipe, splits=splits, images=images)
            if pretraining and build.loss_sees_labels(recipe) and _learns(part):
                name = recipe.data.options["split"]
                refuse_seen_in_pretraining(build.training_images(recipe, images), name, splits.test(part))
        except DataError as error:
            sentence = str(error).removeprefix("evaluate: ")  # an evaluation does not know which section it is
            raise DataError(f"evaluate.{number} ({part.name}): {sentence}") from error
    learning = [part for part in recipe.evaluate if _learns(part)]
    said = [unlearnt_classes(splits.train(part), splits.validation(part), splits.test(part)) for part in learning]
    for sentence in dict.fromkeys(one for one in said if one is not None):
        say(sentence)


def check_layers(recipe: Recipe, head: nn.Module) -> None:
    """Raise UserError if an evaluation asks for a layer that the head has not."""
    for number, part in enumerate(recipe.evaluate):
        try:
            at_layer(nn.Identity(), head, part.options["layer"])
        except UserError as error:
            raise UserError(f"evaluate.{number} ({part.name}): {error}") from None


def _check(part: Part, recipe: Recipe, *, splits: EvaluationSplits, images: Callable[[str], Images]) -> None:
    seed = recipe.train.seed
    train, validation, test = splits.chosen(part, seed), splits.validation(part), splits.test(part)
    evaluation = build.component(part)
    check_keys(part, evaluation)
    if "online" in signatures.declared(type(evaluation).__call__, {"online": None}):
        check_online(part, recipe, images=images, train=splits.train(part), test=test)
    check = getattr(evaluation, "check", None)
    if check is not None:
        more = {
            "validation": None if validation is None else _labels_of(validation),
            "seed": seed,
            "channels": train.images.channels,
            "baselines": part.options["baselines"],
        }
        check(_labels_of(train), _labels_of(test), **signatures.declared(check, more))
    called = signatures.written(type(evaluation), "__call__")
    if called is not None and signatures.declared(called, {"selection": None, "final": None}):
        for_selection(train, validation, **held_out_by(evaluation))
        for_last_training(train, validation, test)
    if _learns(part):
        refuse_leaks(splits.train(part), validation, test)


def _learns(part: Part) -> bool:
    """Whether an evaluation learns anything from `train`, so that it judges what was learnt."""
    return bool(getattr(build.component(part), "learns", True))


def _labels_of(split: Split) -> Features:
    """What is known of a split before anything is trained, as features of width 0."""
    images = split.images
    return Features(np.zeros((len(images), 0), np.float32), images.labels, images.classes, split.name)
