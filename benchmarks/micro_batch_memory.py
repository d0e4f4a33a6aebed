"""Memory of one step of a large batch in micro-batches, against one step of a small batch: ResNet-18 at 32 px.

Each is a process of its own, from images to weights, without workers. What is compared is the highest resident size less that
after the imports; Linux. The large step takes some minutes.

    python benchmarks/micro_batch_memory.py --batch 4096 --micro 128
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from functools import partial

import torch

from sslkit import build, gradient, machine
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe
from sslkit.train import train

RECIPE = """
backbone  = {{ name = "resnet", depth = 18, width = {width}, stem = "small" }}
head      = {{ name = "mlp", out_dim = 128 }}
loss      = {{ name = "nt_xent" }}
optimizer = {{ name = "lars" }}
augmentations = [{{ name = "random_resized_crop", size = 32 }}, {{ name = "horizontal_flip" }}, {{ name = "color_distortion" }}]

[data]
name = "shapes"
num_images = 4096
size = 32

[train]
epochs = 1
batch_size = {batch}
micro_batch = {micro}
base_lr = 0.3
warmup_epochs = 0
"""


def resident() -> int:
    """The highest so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def one_step(batch: int, micro: int, width: float) -> tuple[float, float]:
    """(bytes beside the imports, seconds) of a step."""
    imported = resident()
    machine.keep_freed_memory()
    recipe = Recipe.parse(RECIPE.format(batch=batch, micro=micro, width=width))
    images = build.training_images(recipe, partial(build.images, recipe))
    method = build.method(recipe, in_channels=3).train()
    optimizer = build.optimizer(recipe, method, lr=0.3)
    loader = Loader(images, [build.view(view) for view in recipe.views], plan=Plan(len(images), batch))
    sliced = recipe.train.slice_size < batch
    began = time.perf_counter()
    train(
        method,
        optimizer,
        batches=loader.sliced(0, 1, micro_batch=micro) if sliced else loader.batches(0, 1),
        schedule=lambda _: 0.3,
        steps=1,
        backward=partial(
            gradient.in_micro_batches if sliced else gradient.whole, seed=0, device=torch.device("cpu"), precision="fp32"
        ),
        check=lambda *_: None,
    )
    return resident() - imported, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--micro", type=int, default=128)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(*one_step(*given.one, given.width))
        return
    found = {}
    for batch in (given.micro, given.batch):
        command = [sys.executable, __file__, "--width", str(given.width), "--one", str(batch), str(given.micro)]
        size, seconds = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        found[batch] = size
        name = f"{batch} images" + (f" in micro-batches of {given.micro}" if batch > given.micro else " at once")
        print(f"{name:38} {size / 2**20:8.0f} MiB  {seconds:8.1f} s", flush=True)
    print(f"{'ratio of memory':38} {found[given.batch] / found[given.micro]:8.3f}")


if __name__ == "__main__":
    main()
