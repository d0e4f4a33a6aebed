"""Drawn images: what a recipe is tried on where its own are not at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sslkit import draws
from sslkit.build import channels_of
from sslkit.datasets.images import Images
from sslkit.datasets.shapes import Shapes
from sslkit.recipe import Recipe


def images(recipe: Recipe, *, number: int) -> Callable[[str], Images]:
    """Split -> labelled shapes, as many channels as the recipe's images and about as large; no two splits share any."""
    channels: Literal[1, 3] = 1 if channels_of(recipe) == 1 else 3
    largest = max(view[0].parameters.get("size", 32) for view in recipe.views)
    size = largest if largest <= 32 else round(largest / 0.875)
    return lambda split: Shapes("train", num_images=number, size=size, channels=channels, seed=draws.key(split))
