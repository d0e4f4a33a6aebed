"""Checkpoints: save and load, whole and atomic.

A checkpoint is one safetensors file: weights, optimizer buffers, and one metadata key that holds JSON with the step, the
resolved recipe and a digest of it all. It is written whole or not at all (`sslkit.whole_files`). Files are read as bytes and
verified; loading one can never run code.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from sslkit import bounded, tensor_header
from sslkit.errors import CheckpointError, NonFiniteError
from sslkit.finite import not_finite
from sslkit.whole_files import write

MOST_BYTES = 2**38  # of a file; a billion weights with AdamW's two buffers have 12e9
MOST_STEPS = 2**53
_WHAT = "a checkpoint"
_SEPARATOR = "/"
_MAY_BE_NON_FINITE = "evaluation"  # the kind of a file whose arrays are not weights


@dataclass(frozen=True)
class Checkpoint:
    """A verified file: named tensors, and the facts about them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    path: Path

    def weights(self) -> dict[str, Tensor]:
        """The weights and buffers of the method, by their names in it."""
        return {name: tensor for kind, name, tensor in _split(self.tensors) if kind == "method"}


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON facts to `path`, or raise and leave what was there.

    Raises:
        ResourceError: the file can't be written.
        NonFiniteError: a weight, or a number that an optimizer keeps, is NaN or infinite; `load` would refuse the file.
    """
    if (name := _non_finite(tensors, facts)) is not None:
        raise NonFiniteError(
            f"{path}: is not written: {name!r} holds NaN or infinity. Checkpoints from before are intact. (A constant that is "
            f"infinite by design, as a mask, belongs into a buffer that is not saved: persistent=False.)"
        )
    # Copies of their own: safetensors refuses tensors that share memory, as tied weights do.
    stored = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    content = {**facts, "format": tensor_header.FORMAT}
    content["digest"] = digest(stored, content)
    write(path, save_tensors(stored, {tensor_header.KEY: json.dumps(content, sort_keys=True)}))


def load(path: Path) -> Checkpoint:
    """Read and verify a file; CheckpointError says what is wrong with it. Its header is checked before the rest is read."""
    try:
        with bounded.opened(path, most=MOST_BYTES, what=_WHAT) as (file, size):
            _header(file, size, path)
            file.seek(0)
            data = file.read(size)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}.") from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> Checkpoint:
    """Verify the bytes of a file; CheckpointError says what is wrong with them."""
    facts = _header(io.BytesIO(data), len(data), path).facts
    try:
        tensors = load_tensors(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:  # the last is torch's
        raise CheckpointError(f"{path}: is not a whole checkpoint of sslkit ({error}).") from error
    if facts.pop("digest", None) != digest(tensors, facts):
        raise CheckpointError(f"{path}: its content does not match its digest; the file is damaged.")
    if (name := _non_finite(tensors, facts)) is not None:
        raise CheckpointError(f"{path}: {name!r} holds NaN or infinity, with which nothing can be computed.")
    facts.pop("format", None)
    return Checkpoint(tensors, facts, path)


def _header(file: io.BufferedIOBase, size: int, path: Path) -> tensor_header.Header:
    try:
        header = tensor_header.read_header(file, size)
    except ValueError as error:
        raise CheckpointError(f"{path}: is not a whole checkpoint of sslkit ({error}).") from error
    if sentence := tensor_header.later_format(header.facts):
        raise CheckpointError(f"{path}: {sentence}")
    return header


def _non_finite(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str | None:
    """The first name, in their order, of a tensor that is not finite and has to be."""
    if facts.get("kind") == _MAY_BE_NON_FINITE:
        return None
    return next(iter(not_finite(sorted(tensors.items()))), None)


def digest(tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over names, types, shapes and bytes in sorted order, and the facts."""
    found = hashlib.sha256(json.dumps(facts or {}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def claimed_step(path: Path) -> float:
    """The step that the head of a file speaks of, without reading the rest; infinity if it speaks of none."""
    try:
        with bounded.opened(path, most=MOST_BYTES, what=_WHAT) as (file, size):
            step = tensor_header.read_header(file, size).facts.get("step")
    except (OSError, ValueError):
        return math.inf
    return step if _is_step(step) else math.inf


def _is_step(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= MOST_STEPS


def state(method: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor that a training has to remember, by name: weights, buffers, and what the optimizer keeps for each weight."""
    tensors = {f"method{_SEPARATOR}{name}": tensor for name, tensor in method.state_dict().items()}
    for group in optimizer.param_groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            for key, value in optimizer.state.get(parameter, {}).items():
                if value is not None:
                    tensors[_SEPARATOR.join(("optimizer", name, key))] = torch.as_tensor(value)
    return tensors


def restore(checkpoint: Checkpoint, method: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put the tensors of `state` back; CheckpointError if they belong to another network."""
    restore_weights(checkpoint, method)
    kept: dict[str, dict[str, Tensor]] = {}
    for kind, name, tensor in _split(checkpoint.tensors):
        if kind == "optimizer":
            parameter, _, key = name.rpartition(_SEPARATOR)
            kept.setdefault(parameter, {})[key] = tensor
    groups = optimizer.param_groups
    parameters = {name: p for group in groups for name, p in zip(group["names"], group["params"], strict=True)}
    if unknown := sorted(set(kept) - set(parameters)):
        raise CheckpointError(f"{checkpoint.path}: holds optimizer state of unknown parameters, first {unknown[0]!r}")
    state = {
        i: {key: _laid_out(tensor, parameter) for key, tensor in kept[name].items()}
        for i, (name, parameter) in enumerate(parameters.items())
        if name in kept
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def step_of(checkpoint: Checkpoint) -> int:
    """After which step it was saved; CheckpointError if it does not say."""
    step = checkpoint.facts.get("step")
    if not _is_step(step):
        said = "nothing of that" if step is None else f"{step!r:.40}, which is no count of steps"
        raise CheckpointError(f"{checkpoint.path}: does not say after which step it was saved (it says {said})")
    return step


def restore_weights(checkpoint: Checkpoint, method: nn.Module) -> None:
    """Put the weights and buffers of a method back; CheckpointError if they belong to another network."""
    if (kind := checkpoint.facts.get("kind", "checkpoint")) != "checkpoint":
        raise CheckpointError(f"{checkpoint.path}: is no checkpoint of a training; it says that it is of kind {kind!r:.40}.")
    if differing := difference(checkpoint, method):
        raise CheckpointError(f"{checkpoint.path}: holds another network: {differing}")
    method.load_state_dict(checkpoint.weights())


def difference(checkpoint: Checkpoint, method: nn.Module) -> str:
    """In what weights and buffers of a checkpoint are others than those of a method: how many, and the first; or nothing."""
    stored, needed = (
        {name: tuple(one.shape) for name, one in of.items()} for of in (checkpoint.weights(), method.state_dict())
    )
    sides = {
        "are missing": [f"{name!r:.80}" for name in needed if name not in stored],
        "are not the network's": [f"{name!r:.80}" for name in stored if name not in needed],
        "have another shape": [
            f"{name!r:.80}, {stored[name]} there and {shape} here"
            for name, shape in needed.items()
            if stored.get(name, shape) != shape
        ],
    }
    return "; ".join(f"{len(found)} weights and buffers {what}, first {found[0]}" for what, found in sides.items() if found)


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A buffer in the memory layout of its parameter, so that the same kernels run as before the stop."""
    if tensor.ndim == 0 or tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


def _split(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(_SEPARATOR)
        yield kind, rest, tensor
