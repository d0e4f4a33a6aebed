"""Recipe -> objects: every component that a recipe names, built and joined."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sslkit import signatures
from sslkit.datasets.images import Images
from sslkit.datasets.subset import limited
from sslkit.errors import DataError, Problem, RecipeError, UserError, did_you_mean
from sslkit.gradient import seed_noise
from sslkit.online_probe import OnlineProbe
from sslkit.recipe import Recipe
from sslkit.registry import registry_of
from sslkit.roles import parameter_groups
from sslkit.sections import Part
from sslkit.views import View

_WAYS_ON = "Set {what}, or pass --set data.root=FOLDER, or try the recipe on drawn images with --smoke."


def component(part: Part, **offered: Any) -> Any:
    """One component, from its recipe section and what the framework offers; its own complaint gets its place in front."""
    try:
        return registry_of(part.kind).build(part.name, part.parameters, **offered)
    except UserError as error:
        raise RecipeError([part.problem(str(error))]) from error


def images(recipe: Recipe, split: str) -> Images:
    """A split of the recipe's dataset, whole."""
    parameters = {key: _expanded(key, value) for key, value in recipe.data.parameters.items()}
    registry = registry_of("datasets")
    if isinstance(root := parameters.get("root"), Path) and "download" not in parameters and not root.exists():
        near = did_you_mean(root.name, [folder.name for folder in root.parent.glob("*/")])
        raise DataError(f"data.root: there is no folder {str(root)!r}.{near} {_WAYS_ON.format(what='the right one')}")
    found: Images = registry.build(recipe.data.name, parameters, split=split)
    return found


def training_images(recipe: Recipe, opener: Callable[[str], Images]) -> Images:
    """What the recipe trains on: at most `data.limit` images of `data.split`; `opener` gives a split's."""
    return limited(opener(recipe.data.options["split"]), recipe.data.options["limit"], seed=recipe.train.seed)


def _expanded(key: str, value: Any) -> Any:
    """A path with its `$ENVIRONMENT` filled in."""
    if not isinstance(value, Path):
        return value
    for variable in re.findall(r"\$\{?(\w+)", str(value)):
        if not os.environ.get(variable):
            raise DataError(f"data.{key}: the environment variable {variable} is not set. {_WAYS_ON.format(what=variable)}")
    return Path(os.path.expandvars(value.expanduser()))


def view(parts: Sequence[Part]) -> View:
    """A crop and the operations after it."""
    return View([(one.name, component(one), one.options["p"]) for one in parts])


def method(recipe: Recipe, *, in_channels: int, num_classes: int | None = None) -> Any:
    """The method with its backbone, head and loss, channels-last, weights drawn from the recipe's seed.

    With `num_classes` it has the classifier beside it that the recipe's `online_probe` asks for.
    """
    built = backbone(recipe, in_channels=in_channels)
    seed_noise(recipe.train.seed, "head")
    head = component(recipe.head, in_dim=built.out_dim)
    loss = None if recipe.loss is None else component(recipe.loss)
    joined = component(recipe.method, backbone=built, head=head, loss=loss)
    _check_views(recipe, joined)
    if recipe.train.online_probe and num_classes is not None:
        joined = OnlineProbe(joined, num_classes=num_classes, num_views=len(recipe.views))
    return joined.to(memory_format=torch.channels_last)


def _check_views(recipe: Recipe, joined: Any) -> None:
    """Raise RecipeError if the recipe has not as many views as the method needs."""
    number, least, given = getattr(joined, "num_views", None), getattr(joined, "min_views", 1), len(recipe.views)
    if given < least if number is None else given != number:
        whose = f"{recipe.method.name!r}{f' with {recipe.loss.name!r}' if recipe.loss else ''}"
        needed = f"{least} views or more" if number is None else f"{number} views"
        message = f"views: {whose} needs {needed} and gets {given}."
        raise RecipeError([Problem(recipe.name, message)])


def backbone(recipe: Recipe, *, in_channels: int) -> nn.Module:
    """The encoder as it is before any training."""
    seed_noise(recipe.train.seed, "backbone")
    built: nn.Module = component(recipe.backbone, in_channels=in_channels)
    if not isinstance(getattr(built, "out_dim", None), int):
        raise UserError(f"backbone: {recipe.backbone.name!r} has no integer 'out_dim', the width of its output.")
    return built.to(memory_format=torch.channels_last)


def optimizer(recipe: Recipe, method: nn.Module, *, lr: float) -> torch.optim.Optimizer:
    """The optimizer over the method's parameters, grouped by role."""
    built: torch.optim.Optimizer = component(recipe.optimizer, groups=parameter_groups(method), lr=lr)
    return built


def num_classes(images: Images) -> int | None:
    """How many classes labelled images are of; None for others, and for images of several classes each."""
    if images.labels is None or images.labels.ndim > 1 or len(images.labels) == 0:
        return None
    return len(images.classes) if images.classes is not None else int(images.labels.max()) + 1


def needs_labels(recipe: Recipe) -> bool:
    """Whether the loss declares `labels`, or a classifier learns beside it."""
    return recipe.train.online_probe or loss_sees_labels(recipe)


def loss_sees_labels(recipe: Recipe) -> bool:
    """Whether the encoder is trained with labels."""
    if recipe.loss is None:
        return False
    called = signatures.written(registry_of("losses").load(recipe.loss.name), "__call__")
    return called is not None and "labels" in signatures.declared(called, {"labels": None})


def channels_of(recipe: Recipe) -> int:
    """Channels of the recipe's images without opening them: its own parameter, what the class says of itself, or colour."""
    given = recipe.data.parameters.get("channels", getattr(registry_of("datasets").load(recipe.data.name), "channels", 3))
    return given if isinstance(given, int) else 3


def check(recipe: Recipe) -> None:
    """Build all that needs no data, without memory for weights: what components themselves refuse shows here, all at once."""
    lists = (*recipe.views, recipe.evaluation_augmentations)
    problems: list[Problem] = []
    for attempt in (partial(_weightless, recipe), *(partial(component, one) for one in chain(*lists, recipe.evaluate))):
        try:
            attempt()
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError([*dict.fromkeys(problems)])  # views may share a list
    for parts in lists:
        view(parts)


def _weightless(recipe: Recipe) -> None:
    """The method and its optimizer on torch's meta device."""
    with torch.device("meta"):
        built = method(recipe, in_channels=channels_of(recipe))
        optimizer(recipe, built, lr=1.0)
