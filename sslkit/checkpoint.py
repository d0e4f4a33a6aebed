"""Checkpoints: save and load, whole and atomic.

A checkpoint is one safetensors file: weights, optimizer buffers, and one metadata key that holds JSON with the step, the
resolved recipe and a digest of it all. It is written beside its place, synced, renamed into it, and its folder synced, so that
a kill at any moment leaves a whole one. Files are read as bytes and verified; loading one can never run code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from sslkit.errors import CheckpointError, ResourceError

_KEY = "sslkit"  # the one metadata key; with several the bytes of a file would differ from run to run
_SEPARATOR = "/"
_LONGEST_HEADER = 100_000_000  # bytes; safetensors reads none that is longer


@dataclass(frozen=True)
class Checkpoint:
    """A verified file: named tensors, and the facts about them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]
    path: Path


def save(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON facts to `path`, or raise ResourceError and leave what was there."""
    # Copies of their own: safetensors refuses tensors that share memory, as tied weights do.
    stored = {name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    content = {**facts, "digest": digest(stored, facts)}
    write(path, save_tensors(stored, {_KEY: json.dumps(content, sort_keys=True)}))


def write(path: Path, data: bytes) -> None:
    """Put bytes at `path` atomically: the file is the old one or the new one, whole, whatever happens."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):  # what is reported is why it could not be written
            beside.unlink(missing_ok=True)
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        kept = f" {path.name} from before is intact." if path.exists() else ""
        room = f"{len(data) / 2**20:.1f} MiB needed, {free / 2**20:.1f} MiB free"
        raise ResourceError(f"{path}: can't be written: {error.strerror} ({room}).{kept}") from error


def temporary(folder: Path) -> Iterator[Path]:
    """The files in a folder that `write` was killed over, if nothing is being written there."""
    return folder.glob(".*.tmp")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load(path: Path) -> Checkpoint:
    """Read and verify a file; CheckpointError says what is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}.") from error
    return parse(data, path)


def parse(data: bytes, path: Path) -> Checkpoint:
    """Verify the bytes of a file; CheckpointError says what is wrong with them."""
    try:
        tensors = load_tensors(data)
        facts = _facts(data)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not a whole checkpoint of sslkit ({error}).") from error
    if not isinstance(facts, dict) or facts.pop("digest", None) != digest(tensors, facts):
        raise CheckpointError(f"{path}: its content does not match its digest; the file is damaged.")
    return Checkpoint(tensors, facts, path)


def _facts(data: bytes) -> Any:
    """The metadata of safetensors bytes: eight bytes of length, then a JSON header (already checked by the loader)."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])


def digest(tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None) -> str:
    """SHA-256 over names, types, shapes and bytes in sorted order, and the facts."""
    found = hashlib.sha256(json.dumps(facts or {}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def claimed_step(path: Path) -> float:
    """The step that the head of a file speaks of, unverified and without reading the rest; infinity if it speaks of none."""
    try:
        with path.open("rb") as file:
            length = file.read(8)
            facts = _facts(length + file.read(min(int.from_bytes(length, "little"), _LONGEST_HEADER)))
        return facts["step"] if isinstance(facts["step"], int) else math.inf
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.inf


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
    if not isinstance(step, int):
        raise CheckpointError(f"{checkpoint.path}: does not say after which step it was saved")
    return step


def restore_weights(checkpoint: Checkpoint, method: nn.Module) -> None:
    """Put the weights and buffers of a method back; CheckpointError if they belong to another network."""
    weights = {name: tensor for kind, name, tensor in _split(checkpoint.tensors) if kind == "method"}
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"{checkpoint.path}: holds another network: {first}") from error


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A buffer in the memory layout of its parameter, so that the same kernels run as before the stop."""
    if tensor.ndim == 0 or tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)


def _split(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(_SEPARATOR)
        yield kind, rest, tensor
