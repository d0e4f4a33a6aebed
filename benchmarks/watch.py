"""What the watch over a run's numbers costs: steps that look at the loss alone, at the gradients too, and at every z too.

All variants take turns on one fixed batch, so that a noisy machine slows all alike. Prints the median of each in CPU time, and
of the ratios to the first in the same turn; the look at z counts on logged steps only.

    python benchmarks/watch.py quickstart --batch 64
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sslkit import build, gradient
from sslkit.collapse import Watched
from sslkit.finite import complaint
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe
from sslkit.shipped import find
from sslkit.train import train

CPU = torch.device("cpu")


def variants(method: Any) -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """Name -> the backward pass and the check of a step."""
    backward = partial(gradient.whole, seed=0, device=CPU, precision="fp32")

    def loss_only(_step: int, loss: Tensor, _scalars: Any) -> None:
        assert torch.isfinite(loss).item()

    def all_gradients(_step: int, loss: Tensor, scalars: Any) -> None:
        assert not complaint(loss, scalars, parameters=method.named_parameters())

    return {
        "the loss alone": (backward, loss_only),
        "loss and gradients": (backward, all_gradients),
        "loss, gradients and z": (Watched(backward, when=lambda _: True, say=print), all_gradients),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=15)
    given = parser.parse_args()
    recipe = Recipe.load(find(given.recipe), given.set)
    images = build.training_images(recipe, partial(build.images, recipe))
    method = build.method(recipe, in_channels=images.channels).train()
    optimizer = build.optimizer(recipe, method, lr=0.01)
    views = [build.view(view) for view in recipe.views]
    batch = next(Loader(images, views, plan=Plan(len(images), given.batch)).batches(0, 1))
    seconds: dict[str, list[float]] = {}
    for _ in range(given.turns + 1):  # the first turn warms up
        for name, (backward, check) in variants(method).items():
            began = time.process_time()
            train(method, optimizer, batches=[batch], schedule=lambda _: 0.01, steps=1, backward=backward, check=check)
            seconds.setdefault(name, []).append(time.process_time() - began)
    bare = seconds["the loss alone"][1:]
    for name, found in seconds.items():
        ratios = [one / other for one, other in zip(found[1:], bare, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4)
        milliseconds = 1e3 * statistics.median(found[1:])
        print(f"{name:24} {milliseconds:9.2f} ms  ratio {median:.4f} (quartiles {low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
