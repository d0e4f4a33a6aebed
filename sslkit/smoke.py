"""Smoke: the same recipe with the same components, shrunk to minutes, on images that are drawn here.

Training, a stop, the resume, and every evaluation are gone through; the numbers mean nothing.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sslkit import drawn, gradient
from sslkit.encoder import load_encoder
from sslkit.errors import NonFiniteError, Stopped
from sslkit.folder import RunFolder
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.running import Run
from sslkit.sections import Part
from sslkit.signals import StopRequest

BATCH_SIZE = 4
STEPS_PER_EPOCH = 2
EPOCHS = 2
TEST_IMAGES = 10


def shrunk(recipe: Recipe) -> Recipe:
    """The recipe with few images, steps and neighbours; components, sizes and optimizer stay as they are."""
    train = recipe.train.model_copy(
        update={
            "epochs": EPOCHS,
            "batch_size": BATCH_SIZE,
            "micro_batch": BATCH_SIZE // 2 if recipe.train.slice_size < recipe.train.batch_size else None,
            "warmup_epochs": min(recipe.train.warmup_epochs, 1.0),
            "log_every": 1,
            "checkpoint_every_epochs": 1,
        }
    )
    data = dataclasses.replace(recipe.data, options={**recipe.data.options, "limit": BATCH_SIZE * STEPS_PER_EPOCH})
    evaluate = tuple(_shorter(part) for part in recipe.evaluate)
    # No trackers: numbers that mean nothing must not reach a service where others look at them.
    return dataclasses.replace(recipe, train=train, data=data, evaluate=evaluate, track=())


def _shorter(part: Part) -> Part:
    """An evaluation of one epoch, or few steps, whose `k` fits the few images; those names mean the same everywhere."""
    parameters = {key: _fewer(key, value) for key, value in part.parameters.items()}
    labels = part.options["labels_per_class"]
    return dataclasses.replace(
        part, parameters=parameters, options={**part.options, "labels_per_class": labels and 1, "every_epochs": 1, "repeats": 1}
    )


def _fewer(key: str, value: Any) -> Any:
    if key in ("epochs", "steps"):
        return 1
    numbers = value if isinstance(value, tuple) else (value,)
    if key != "k" or not all(isinstance(one, int) for one in numbers):
        return value
    fewer = tuple(min(one, TEST_IMAGES) for one in numbers)
    return fewer if isinstance(value, tuple) else fewer[0]


def smoke(recipe: Recipe, *, report: Reporter) -> list[Mapping[str, Any]]:
    """Go through all of a recipe in a folder that is thrown away; gives the results, which mean nothing."""
    small, images = shrunk(recipe), drawn.images(recipe, number=2 * TEST_IMAGES)
    steps = f"a few steps of {BATCH_SIZE} images" + (
        f", in micro-batches of {small.train.micro_batch}" if small.train.micro_batch else ""
    )
    report.say(f"smoke test of {recipe.name}: the same components at the same size, on drawn images, {steps}.")
    with tempfile.TemporaryDirectory(prefix="sslkit-smoke-") as folder:
        target = RunFolder(Path(folder))
        stopping = StopRequest()
        first = Run(small, target, report=report, stop=stopping, open_images=images)
        if recipe.train.precision == "bf16":
            _try_autocast(first, report)
        target.create(recipe="", resolved=first.resolved())
        Recipe.load(target.resolved)
        # As if Ctrl-C had been pressed during the first step.
        first.optimizer.register_step_post_hook(lambda *_: setattr(stopping, "asked", True))
        try:
            first.complete()
        except Stopped:
            report.say("stopped after the first step, as intended; now the resume")
        Run(small, target, report=report, stop=StopRequest(), open_images=images).complete()
        results, finished = target.read_results()
        assert finished
        encoder, transform = load_encoder(target.path)
        encoder(transform(images("test").read(0, 1)))
    return list(results)


def _try_autocast(run: Run, report: Reporter) -> None:
    """One tiny batch under bf16 autocast, whatever this machine computes the rest in."""
    batch = next(run.loader.batches(0, 1))
    small = batch._replace(
        views=[view[:2] for view in batch.views],
        labels=None if batch.labels is None else batch.labels[:2],
        indices=batch.indices[:2],
    )
    before = {name: tensor.clone() for name, tensor in run.method.state_dict().items()}
    loss, _ = gradient.whole(run.method, small, 0, seed=0, device=run.device, precision="bf16")
    run.optimizer.zero_grad()
    run.method.load_state_dict(before)
    if not torch.isfinite(loss):
        raise NonFiniteError(f"the loss of a tiny batch is {loss.item()} under bf16 autocast.")
    report.say("bf16 autocast: one batch of two images went through")
