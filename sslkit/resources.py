"""Resources: whether disk and memory suffice for a run, looked at before its first step and explained when they don't."""

from __future__ import annotations

import copy
import errno
import shutil
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from sslkit import checkpoint
from sslkit.checkpoint_folder import on_the_way
from sslkit.errors import LACKING, ResourceError
from sslkit.folder import RunFolder

_ON_THE_WAY = 3  # the newest two, and the one that is being written
_NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "Insufficient memory", "out of memory")
_WORKER_DIED = ("is killed by signal", "exited unexpectedly")


def refuse_too_little_room(
    folder: RunFolder, method: nn.Module, optimizer: torch.optim.Optimizer, *, epochs: range, keep_every: int
) -> None:
    """Refuse to begin where the checkpoints that will lie together do not fit on the disk.

    Args:
        folder: the run folder; it exists.
        method: its weights and buffers are part of each checkpoint,
        optimizer: and so is what this keeps.
        epochs: those that are still to come, counted from 0; with none nothing is refused.
        keep_every: epochs between two checkpoints that are kept.

    Raises:
        ResourceError: they need more than is free.
    """
    if not epochs:
        return
    needed, why = room_for_checkpoints(folder, method, optimizer, epochs=epochs, keep_every=keep_every)
    free = shutil.disk_usage(folder.path).free
    if needed > free:
        raise ResourceError(
            f"{folder.path}: the disk has {_mib(free)} free, and the checkpoints of this run need {_mib(needed)} more: {why}. "
            f"Make room, keep fewer, or name another folder with -o FOLDER."
        )


def room_for_checkpoints(
    folder: RunFolder, method: nn.Module, optimizer: torch.optim.Optimizer, *, epochs: range, keep_every: int
) -> tuple[int, str]:
    """The bytes that the checkpoints of these epochs need beside what lies in the folder, and how they come about, in words."""
    size, kept = checkpoint_bytes(method, optimizer), sum((epoch + 1) % keep_every == 0 for epoch in epochs)
    there = sum(path.stat().st_size for path in on_the_way(folder.checkpoints))
    why = f"{_ON_THE_WAY} on the way and {kept} that train.keep_every_epochs keeps, {_mib(size)} each"
    return (_ON_THE_WAY + kept) * size - there, why


def checkpoint_bytes(method: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """The size of a checkpoint; before the first step what the optimizer will keep is an estimate."""
    tensors = checkpoint.state(method, optimizer).values()
    return sum(tensor.nbytes for tensor in tensors) + (0 if optimizer.state else _kept_after_a_step(optimizer))


def _kept_after_a_step(optimizer: torch.optim.Optimizer) -> int:
    """The bytes that an optimizer keeps once it has made a step, seen on a twin whose parameters take no memory."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    try:
        twin = _twin(optimizer, parameters)
        twin.step()
    except Exception:  # one that can't do without memory; what AdamW keeps is as much as any usual one does
        return 2 * sum(parameter.nbytes for parameter in parameters)
    kept = [value for state in twin.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    return sum(tensor.nbytes for tensor in kept)


def _twin(optimizer: torch.optim.Optimizer, parameters: list[Any]) -> Any:
    twins = {id(one): nn.Parameter(torch.empty_like(one, device="meta"), requires_grad=one.requires_grad) for one in parameters}
    for one in twins.values():
        one.grad = torch.empty_like(one)
    # Hooks are somebody else's, who should not hear of a step that is none.
    own = {key: value for key, value in vars(optimizer).items() if key not in ("state", "param_groups") and "_hooks" not in key}
    hooks: dict[str, Any] = {key: OrderedDict() for key in vars(optimizer) if "_hooks" in key}
    groups = [{**group, "params": [twins[id(one)] for one in group["params"]]} for group in optimizer.param_groups]
    twin = object.__new__(type(optimizer))
    vars(twin).update(copy.deepcopy(own, dict(twins)), **hooks, state=defaultdict(dict), param_groups=groups)
    return twin


@contextmanager
def explained(folder: RunFolder) -> Iterator[None]:
    """Turn want of disk or memory into one ResourceError that says what helps, and what is safe.

    Args:
        folder: the run folder.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError, ResourceError) as error:
        if (what := _lack(error)) is None:
            raise
        last = folder.last
        saved = f"{last} is intact, and the same command goes on from it." if last else "No checkpoint was written yet."
        raise ResourceError(f"{what} {saved}") from error


def _lack(error: Exception) -> str | None:
    """What does not suffice, and what helps; None for an error of another kind."""
    text = str(error)
    if isinstance(error, ResourceError):
        return text
    if isinstance(error, OSError) and error.errno in LACKING and error.errno != errno.ENOMEM:
        return f"{error.filename or 'a file'}: {error.strerror}."
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in text for words in _NO_MEMORY):
        return (
            f"out of memory ({_first_sentence(text)}): --set train.micro_batch=N computes the same loss in slices of N images, "
            f"with the memory of one; a smaller train.batch_size, fewer data.workers and a smaller network need less too."
        )
    if any(words in text for words in _WORKER_DIED):
        return (
            f"a process that prepares views has died ({_first_sentence(text)}), most often because the system wanted its "
            f"memory: --set data.workers=0, or fewer, needs less."
        )
    return None


def _first_sentence(text: str) -> str:
    """What the system itself says, without where in its code."""
    lines = [line for line in text.splitlines() if any(words in line for words in (*_NO_MEMORY, *_WORKER_DIED))]
    line = (lines or text.splitlines() or ["the system gave no more"])[0]
    return line.partition("DefaultCPUAllocator: ")[2].rstrip(". ") or line.rstrip(". ")


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
