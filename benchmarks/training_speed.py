"""Images a second of training with a recipe, against the bare network on one fixed batch: what the views and the loop cost.

Both are measured in turns in one process, so that a noisy machine slows both. Prints the medians and their ratio.

    python benchmarks/training_speed.py recipes/simclr_clothing.toml --set data.root=../shared/data/clothing96
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from sslkit import build, gradient, machine
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe
from sslkit.schedule import peak_lr
from sslkit.train import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    given = parser.parse_args()
    machine.keep_freed_memory()
    recipe = Recipe.load(given.recipe, given.overrides)
    settings = recipe.train
    images = build.training_images(recipe, partial(build.images, recipe))
    method = build.method(recipe, in_channels=images.channels).train()
    lr = peak_lr(settings.base_lr, batch_size=settings.batch_size, scaling=settings.lr_scaling)
    optimizer = build.optimizer(recipe, method, lr=lr)
    plan = Plan(len(images), settings.batch_size, settings.seed)
    views = [build.view(view) for view in recipe.views]
    loader = Loader(images, views, plan=plan, workers=machine.num_workers(recipe.data.options["workers"]))
    fixed = next(loader.batches(0, 1))

    def steps(source: Callable[[int], object]) -> float:
        began = time.perf_counter()
        train(
            method,
            optimizer,
            batches=source(given.steps),
            schedule=lambda _: 1e-3 * lr,
            steps=given.steps,
            backward=partial(gradient.whole, seed=0, device=torch.device("cpu"), precision="fp32"),
            check=lambda *_: None,
        )
        return given.steps * settings.batch_size / (time.perf_counter() - began)

    bare = partial(steps, lambda count: (fixed for _ in range(count)))
    whole = partial(steps, lambda count: loader.batches(0, count))
    bare(), whole()  # warm up
    pairs = [(bare(), whole()) for _ in range(given.rounds)]
    ratios = sorted(two / one for one, two in pairs)
    print(f"{recipe.name}: batch {settings.batch_size}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"bare network on one batch  {statistics.median(one for one, _ in pairs):8.1f} images/s")
    print(f"training from the images   {statistics.median(two for _, two in pairs):8.1f} images/s")
    print(f"ratio, median of {given.rounds}       {statistics.median(ratios):8.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
