"""Needs: what a recipe will take of memory, disk, cores and devices, held against what there is."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from sslkit import build, checkpoint, drawn, limits, machine, resources, show
from sslkit.doctor.findings import Asked, Finding, error, ok, size, warning
from sslkit.doctor.recipe import recipe_of
from sslkit.doctor.room import SHARED_MEMORY
from sslkit.folder import RunFolder
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe
from sslkit.running import refuse_ranks_without_images

# Of what there is: beside what is counted, kernels, the gradients on their way back, the loss and evaluations need some. With
# `quickstart` on the CPU, batches of 1000 images instead of 256 raised the peak by 1.8 times what they add to the estimate.
_TIGHT = 0.5


def memory(asked: Asked) -> Iterator[Finding]:
    """What one step keeps on the device, and on the CPU also the slots of the loader, for all processes of this machine."""
    recipe, device = recipe_of(asked), machine.device()
    share = _share(recipe, asked.num_processes)
    channels = build.channels_of(recipe)
    parts = show.memory(share, _method(share), channels=channels)
    if machine.precision(recipe.train.precision) == "bf16":
        parts["activations"] //= 2
    if device.type == "cpu":
        parts["views"] = _loader(asked).ring_bytes(micro_batch=recipe.train.micro_batch)
        have, times = limits.memory().available, asked.num_processes
    else:
        have, times = torch.cuda.mem_get_info()[0], 1  # a process has a GPU of its own
    need = times * sum(parts.values())
    each = ", ".join(f"{name} {size(times * number)}" for name, number in parts.items())
    where = f"{'the memory' if device.type == 'cpu' else 'a GPU'} has {'an unknown amount' if have is None else size(have)}"
    text = f"a step keeps about {size(need)} ({each}), up to twice that at its peak, and {where}"
    if have is None or need <= _TIGHT * have:
        yield ok("memory", text)
        return
    advice = _smaller(recipe, parts, have=_TIGHT * have / times)
    yield error("memory", text, advice) if need > have else warning("memory", text, advice)


def _smaller(recipe: Recipe, parts: dict[str, int], *, have: float) -> str:
    """The largest slice, a power of two, whose views and activations fit beside the weights."""
    fixed = parts["weights and gradients"] + parts["optimizer"]
    fits = recipe.train.slice_size * (have - fixed) / (parts["views"] + parts["activations"])
    if fits < 2:
        return "Even two images do not fit: take a smaller network, or smaller views."
    return f"--set train.micro_batch={2 ** int(math.log2(fits))} computes the same loss in slices, with the memory of one."


def checkpoints(asked: Asked) -> Iterator[Finding]:
    """Whether the checkpoints that will lie together have room on the disk."""
    recipe, folder = recipe_of(asked), RunFolder(Path(asked.folder))
    method = _method(recipe)
    with torch.device("meta"):
        optimizer = build.optimizer(recipe, method, lr=1.0)
    epochs = range(_epochs_done(folder), recipe.train.epochs)
    keep_every = recipe.train.keep_every_epochs
    need, why = resources.room_for_checkpoints(folder, method, optimizer, epochs=epochs, keep_every=keep_every)
    free = shutil.disk_usage(next(one for one in (folder.path, *folder.path.absolute().parents) if one.is_dir())).free
    text = f"{size(need)} more, {why}; {size(free)} free at {folder.path}"
    if need > free and epochs:
        yield error("checkpoints", text, "Make room, keep fewer, or name another folder with -o FOLDER.")
    else:
        yield ok("checkpoints", text)


def _epochs_done(folder: RunFolder) -> int:
    if folder.last is None or not folder.resolved.exists():
        return 0
    return int(checkpoint.claimed_step(folder.last) // folder.read_resolved()["resolved"]["steps_per_epoch"])


def workers(asked: Asked) -> Iterator[Finding]:
    """Whether the workers have a core each, and their slots room in the shared memory."""
    recipe, cores = recipe_of(asked), limits.cores().usable
    number = _workers(recipe, asked.num_processes)
    busy = asked.num_processes * (1 + number)
    beside = f"{number} beside {'each of the processes that train' if asked.num_processes > 1 else 'the training'}"
    text = f"{beside}, for {cores} usable {'core' if cores == 1 else 'cores'}"
    if number and busy > cores:
        fewer = max(0, cores // asked.num_processes - 1)
        yield warning("workers", text, f"They take turns: --set data.workers={fewer} is as fast or faster.")
    else:
        yield ok("workers", text)
    if not number or not SHARED_MEMORY.is_dir():
        return
    need = asked.num_processes * _loader(asked).ring_bytes(micro_batch=recipe.train.micro_batch)
    free = shutil.disk_usage(SHARED_MEMORY).free
    text = f"the slots of the workers take {size(need)}, and {SHARED_MEMORY} has {size(free)} free"
    if need > free:
        yield error("shared memory", text, "Set data.workers = 0, or give more of it (docker: --shm-size).")
    else:
        yield ok("shared memory", text)


def precision(asked: Asked) -> Iterator[Finding]:
    """Whether the device computes in the precision that is asked for."""
    wanted = recipe_of(asked).train.precision
    device, used = machine.device(), machine.precision(wanted)
    if used != wanted:
        advice = "Numbers will differ a little from those of bf16, and no time is saved."
        yield warning("precision", f"{wanted} is only emulated by this CPU: the run computes in {used}", advice)
    elif wanted == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        yield warning("precision", "bf16 is only emulated by this GPU", "--set train.precision=fp32 is faster.")
    else:
        yield ok("precision", f"{wanted} on {device.type}")


def processes(asked: Asked) -> Iterator[Finding]:
    """Whether there is a device, or a core, and an image for each process."""
    recipe, number, gpus, cores = recipe_of(asked), asked.num_processes, torch.cuda.device_count(), limits.cores().usable
    refuse_ranks_without_images(recipe, number)
    text = f"{number}, and this machine has {gpus} GPUs" if gpus else f"{number}, and no GPU, for {cores} usable cores"
    if gpus and number > gpus:
        yield error("processes", text, f"Each takes one: --nproc {gpus} at most.")
    elif not gpus and number > cores:
        yield warning("processes", text, f"They take turns: --nproc {cores} at most.")
    elif gpus > number:
        yield warning("processes", text, f"sslkit run {asked.recipe} --nproc {gpus} uses all.")
    else:
        yield ok("processes", text)


def _share(recipe: Recipe, num_processes: int) -> Recipe:
    """The recipe as one of several processes sees it: its own part of each slice."""
    own = max(2, math.ceil(recipe.train.slice_size / num_processes))  # of one image a batch norm has no statistics
    return replace(recipe, train=recipe.train.model_copy(update={"batch_size": own, "micro_batch": None}))


def _method(recipe: Recipe) -> Any:
    """The method, without memory for its weights."""
    with torch.device("meta"):
        return build.method(recipe, in_channels=build.channels_of(recipe))


def _workers(recipe: Recipe, num_processes: int) -> int:
    return machine.num_workers(recipe.data.options["workers"], processes=num_processes)


def _loader(asked: Asked) -> Loader:
    """The loader of the first process, on as many drawn images as a batch has: what slots take does not depend on images."""
    recipe, batch = recipe_of(asked), recipe_of(asked).train.batch_size
    images = drawn.images(recipe, number=batch)("train")
    views = [build.view(view) for view in recipe.views]
    number = asked.num_processes
    return Loader(images, views, plan=Plan(batch, batch), workers=_workers(recipe, number), rank=number - 1, num_ranks=number)
