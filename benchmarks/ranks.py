"""What several processes cost: two of one thread against one of two threads, and our average of gradients against torch's DDP.

All variants take turns, so that a noisy machine slows all alike. Prints the medians of images a second and their ratios.

    python benchmarks/ranks.py recipes/simclr_clothing.toml --set data.root=../shared/data/clothing96
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from sslkit import build, gradient, machine
from sslkit.distributed.batch_norm import with_global_norm
from sslkit.distributed.gather import gather
from sslkit.distributed.ranks import num_ranks, rank
from sslkit.loader import Batch, Loader, Plan
from sslkit.recipe import Recipe
from sslkit.schedule import peak_lr
from sslkit.train import train

CPU = torch.device("cpu")


class Projection(nn.Module):
    """What DDP wraps: a forward pass whose outputs the loss is made of."""

    def __init__(self, method: nn.Module) -> None:
        super().__init__()
        self.method = method

    def forward(self, views: list[torch.Tensor]) -> Any:
        return self.method.project(views)


def with_ddp(wrapped: DistributedDataParallel, method: Any, batch: Batch, _: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """The same gradients as `gradient.whole`, averaged by DDP's buckets while the backward pass is under way."""
    loss, scalars = method.objective(*(gather(output) for output in wrapped(batch.views)))
    loss.backward()
    return loss.detach(), scalars


def training(recipe: Recipe, *, ddp: bool) -> Callable[[int], float]:
    """Steps -> images a second of all processes together."""
    settings = recipe.train
    images = build.training_images(recipe, partial(build.images, recipe))
    method: Any = with_global_norm(build.method(recipe, in_channels=images.channels).train())
    lr = peak_lr(settings.base_lr, batch_size=settings.batch_size, scaling=settings.lr_scaling)
    optimizer = build.optimizer(recipe, method, lr=lr)
    plan = Plan(len(images), settings.batch_size, settings.seed)
    views = [build.view(view) for view in recipe.views]
    loader = Loader(images, views, plan=plan, rank=rank(), num_ranks=num_ranks())
    backward: Any = partial(gradient.whole, seed=0, device=CPU, precision="fp32")
    if ddp:
        # As bit-exact resume needs it: without this flag DDP rearranges its buckets after the first step.
        wrapped = DistributedDataParallel(Projection(method), find_unused_parameters=True, broadcast_buffers=False)
        backward = partial(with_ddp, wrapped)

    def steps(count: int) -> float:
        began = time.perf_counter()
        batches: Iterator[Batch] = loader.batches(0, count)
        train(
            method,
            optimizer,
            batches=batches,
            schedule=lambda _: 1e-3 * lr,
            steps=count,
            backward=backward,
            check=lambda *_: None,
        )
        return count * settings.batch_size / (time.perf_counter() - began)

    return steps


def serve(number: int, size: int, *, store: str, ddp: bool, recipe: Recipe, turns: Any, speeds: Any) -> None:
    """One process of a variant: trains when it is its turn."""
    os.environ["OMP_NUM_THREADS"] = str(2 // size)
    torch.set_num_threads(2 // size)
    machine.keep_freed_memory()
    if size > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{store}", rank=number, world_size=size, timeout=timedelta(minutes=30)
        )
    steps = training(recipe, ddp=ddp)
    while (count := turns[number].get()) is not None:
        speeds.put(steps(count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    given = parser.parse_args()
    recipe = Recipe.load(given.recipe, given.overrides)
    context = multiprocessing.get_context("spawn")
    variants = {"one process, two threads": (1, False), "two of one thread": (2, False), "two, with DDP": (2, True)}
    started = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (size, ddp) in variants.items():
            turns, speeds = [context.Queue() for _ in range(size)], context.Queue()
            for number in range(size):
                with_names = {"store": f"{folder}/{name}", "ddp": ddp, "recipe": recipe, "turns": turns, "speeds": speeds}
                context.Process(target=serve, args=(number, size), kwargs=with_names, daemon=True).start()
            started[name] = turns, speeds

        def measured(name: str, count: int) -> float:
            turns, speeds = started[name]
            for turn in turns:
                turn.put(count)
            return min(speeds.get() for _ in turns)

        for name in variants:
            measured(name, 2)  # warm up
        found = {name: [] for name in variants}
        for _ in range(given.rounds):
            for name in variants:
                found[name].append(measured(name, given.steps))
    base = found["one process, two threads"]
    print(f"{recipe.name}: batch {recipe.train.batch_size}, torch {torch.__version__}")
    for name, speeds_of in found.items():
        ratios = sorted(one / other for one, other in zip(speeds_of, base, strict=True))
        spread = f"({ratios[0]:.3f} to {ratios[-1]:.3f})"
        print(f"{name:25s} {statistics.median(speeds_of):8.1f} images/s   ratio {statistics.median(ratios):.3f} {spread}")
    ours, ddp_s = found["two of one thread"], found["two, with DDP"]
    print(f"ours over DDP {statistics.median(a / b for a, b in zip(ours, ddp_s, strict=True)):.3f}")


if __name__ == "__main__":
    main()
