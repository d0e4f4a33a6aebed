"""Versions: what a run was made with."""

from __future__ import annotations

import platform

import cv2
import numpy as np
import torch

import sslkit
from sslkit.check import named_inside
from sslkit.recipe import Recipe
from sslkit.registry import BUILT_IN, registry_of
from sslkit.sections import KIND_OF_SECTION


def versions(recipe: Recipe) -> dict[str, str]:
    """sslkit, Python, torch, numpy and OpenCV, which compute views and weights, and every plugin that supplied a name."""
    parts = [part for key in KIND_OF_SECTION if (part := getattr(recipe, key)) is not None]
    parts += [
        *recipe.evaluate,
        *recipe.track,
        *recipe.evaluation_augmentations,
        *(one for view in recipe.views for one in view),
    ]
    found = {"sslkit": sslkit.__version__, "python": platform.python_version(), "torch": torch.__version__}
    found |= {"numpy": np.__version__, "opencv": cv2.__version__}
    for part in parts:
        for kind, name in ((part.kind, part.name), *named_inside(part.kind, part.to_dict())):
            distribution = registry_of(kind).component(name).distribution
            if distribution != BUILT_IN:
                package, _, number = distribution.partition(" ")
                found[package] = number
    return found
