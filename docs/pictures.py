"""Draw the pictures of the docs, kept in `docs/pictures`: each augmentation on its own, and the views of three recipes.

python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sslkit import build, drawn, grid, sheet
from sslkit.augmentations import registry
from sslkit.augmentations.composition import addressed
from sslkit.datasets.shapes import Shapes
from sslkit.draws import Draws
from sslkit.recipe import Recipe
from sslkit.shipped import shipped

FOLDER = Path(__file__).parent / "pictures"
SIZE = 128
CHANGING = [{"name": "color_jitter"}, {"name": "gaussian_blur", "p": 1.0}, {"name": "rotate"}]
PARAMETERS = {
    "random_resized_crop": {"size": SIZE},
    "center_crop": {"size": SIZE},
    "one_of": {"operations": CHANGING},
    "all_of": {"operations": CHANGING, "in_order": "random"},
}
NUM_DRAWS = 6


def strip(name: str) -> None:
    """One augmentation under several draws."""
    parameters, _ = registry.filled(name, PARAMETERS.get(name, {}))
    (operation,) = addressed([(name, registry.build(name, parameters))])
    original = Shapes("train", num_images=10, size=144, seed=3).read(0, 1)
    draws = (Draws(np.zeros(1, dtype=np.int64), 0, "pictures", turn) for turn in range(NUM_DRAWS))
    cells = sheet.alone(operation, original, draws, size=SIZE)
    grid.drawn([[cell._replace(caption="") for cell in cells]], [""] * len(cells)).quantize().save(
        FOLDER / f"{name}.png", optimize=True
    )


def recipe_views(name: str) -> None:
    """The views of a recipe, on drawn images, a few samples of them."""
    recipe = Recipe.load(shipped()[name])
    images = build.training_images(recipe, drawn.images(recipe, number=20))
    sheet.sheet(recipe, images, samples=(0, 1, 2)).quantize().save(FOLDER / f"views_{name}.png", optimize=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for component in registry.builtins:
        strip(component)
    for shown in ("quickstart", "simclr_clothing", "simclr_r50"):
        recipe_views(shown)
