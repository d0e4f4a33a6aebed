"""What follows from a recipe before it runs: steps, learning rate, parameters, memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from sslkit import build
from sslkit.errors import UserError
from sslkit.facts import facts
from sslkit.recipe import Recipe
from sslkit.schedule import peak_lr
from sslkit.train import set_lr


def derived(recipe: Recipe) -> Iterator[str]:
    """One line a fact."""
    channels = build.channels_of(recipe)
    settings = recipe.train
    yield f"peak lr: {peak_lr(settings.base_lr, batch_size=settings.batch_size, scaling=settings.lr_scaling):g}"
    try:
        images = build.training_images(recipe, partial(build.images, to_be_counted(recipe)))
        numbers = facts(recipe, len(images))
    except UserError as error:
        downloaded = recipe.data.parameters.get("download") is True
        yield "data: not here yet; a run downloads it" if downloaded else f"data: {error}"
        yield "steps and warm-up follow from the number of images"
    else:
        channels = images.channels
        yield f"data: {numbers.num_images} images, {numbers.steps_per_epoch} steps an epoch"
        yield f"steps: {numbers.steps}, {numbers.warmup_steps} of them warm-up"
    with torch.device("meta"):
        method = build.method(recipe, in_channels=channels)
    for name in ("backbone", "head", "loss"):
        module = getattr(method, name, None)
        if isinstance(module, nn.Module):
            yield f"{name}: {sum(p.numel() for p in module.parameters()):,} parameters"
    if settings.slice_size < settings.batch_size:
        yield f"micro-batches: {settings.slice_size} of {settings.batch_size} images at a time; the loss sees the whole batch"
        if any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm) for module in method.modules()):
            yield "  batch norm takes its statistics over a micro-batch: with another size it trains another network"
    parts = memory(recipe, method, channels=channels)
    total = sum(parts.values())
    yield f"memory of a step in float32 without the loss, estimated: {total / 2**30:.2f} GiB"
    for name, size in parts.items():
        yield f"  {name}: {size / 2**20:,.0f} MiB"


def to_be_counted(recipe: Recipe) -> Recipe:
    """The same recipe with its images where they are: nothing is downloaded to be counted, nor decoded to be held in memory."""
    unused = {"download": False, "memory_gib": 0.0}
    parameters = {key: unused.get(key, value) for key, value in recipe.data.parameters.items()}
    return replace(recipe, data=replace(recipe.data, parameters=parameters))


def memory(recipe: Recipe, method: nn.Module, *, channels: int) -> dict[str, int]:
    """Bytes that a step keeps, counted by going through one on torch's meta device, which computes shapes only.

    What the loss keeps and what kernels need for a moment is not counted.
    """
    kept: dict[int, int] = {}

    own = {tensor.untyped_storage()._cdata for tensor in (*method.parameters(), *method.buffers())}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata in own:
            return tensor
        kept[tensor.untyped_storage()._cdata] = tensor.untyped_storage().nbytes()
        alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []  # so that no id is used twice
    shapes = [(recipe.train.slice_size, channels, size, size) for size in (build.view(view).size for view in recipe.views)]
    views = [torch.empty(shape, device="meta").to(memory_format=torch.channels_last) for shape in shapes]
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        outputs = method.project(views)  # type: ignore[operator]
    torch.stack([output.sum() for output in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    optimizer = build.optimizer(recipe, method, lr=1.0)
    set_lr(optimizer, 1.0)
    optimizer.step()
    weights = sum(tensor.nbytes for tensor in (*method.parameters(), *method.buffers()))
    buffers = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    return {
        "weights and gradients": weights + sum(p.numel() * p.element_size() for p in method.parameters()),
        "optimizer": sum(buffer.nbytes for buffer in buffers),
        "views": sum(view.nbytes for view in views),
        "activations": sum(kept.values()),
    }
