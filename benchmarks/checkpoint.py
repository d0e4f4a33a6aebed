"""What a checkpoint costs: bytes and seconds to write, to verify and to read, against the time of a step and of an epoch.

The state is that of the recipe's network after a step of its optimizer, as a run saves it; the step is measured on random
images, of as many as are given. At the default cadence a run writes one checkpoint an epoch.

    python benchmarks/checkpoint.py simclr_r50 --images 8 --epoch 1281167
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sslkit import build, checkpoint, gradient
from sslkit.loader import Batch
from sslkit.recipe import Recipe
from sslkit.shipped import find


def seconds(work: Callable[[], object], turns: int) -> float:
    """The median time of a piece of work."""
    found = []
    for _ in range(turns):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipe")
    arguments.add_argument("--images", type=int, default=8, help="of the step that is measured")
    arguments.add_argument("--epoch", type=int, default=1_281_167, help="images of an epoch")
    arguments.add_argument("--turns", type=int, default=3)
    given = arguments.parse_args()
    recipe = Recipe.load(find(given.recipe))
    method = build.method(recipe, in_channels=3).train()
    optimizer = build.optimizer(recipe, method, lr=0.01)
    size = recipe.views[0][0].parameters["size"]
    views = [torch.rand(given.images, 3, size, size).to(memory_format=torch.channels_last) for _ in recipe.views]
    batch = Batch(views, None, torch.arange(given.images))

    def step() -> None:
        gradient.whole(method, batch, 0, seed=0, device=torch.device("cpu"), precision="fp32")
        optimizer.step()
        optimizer.zero_grad()

    a_step = seconds(step, given.turns)
    an_epoch = a_step / given.images * given.epoch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        facts = {"kind": "checkpoint", "step": 1, "recipe": recipe.to_dict()}
        written = seconds(lambda: checkpoint.save(path, checkpoint.state(method, optimizer), facts), given.turns)
        read = seconds(lambda: checkpoint.load(path), given.turns)
        size_in_bytes = path.stat().st_size
        bare = seconds(lambda: (Path(folder) / "bare").write_bytes(path.read_bytes()), given.turns)
    weights = sum(one.numel() for one in method.parameters())
    print(f"{weights:,} parameters, with what {recipe.optimizer.name} keeps: {size_in_bytes:,} bytes")
    print(f"written in {written:.2f} s, {written / bare:.1f} times a plain copy of the file; read and verified in {read:.2f} s")
    print(f"a step of {given.images} images: {a_step:.2f} s; an epoch of {given.epoch:,} images: {an_epoch / 3600:.1f} h here")
    print(f"one checkpoint an epoch: {written / an_epoch:.2e} of its time; where an epoch takes a minute, {written / 60:.1%}")


if __name__ == "__main__":
    main()
