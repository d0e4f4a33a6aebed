"""Conditions: what the bits of a run depend on besides its recipe and its images, and what of it is other than before.

They stand in `[resolved]`, which makes no part of the recipe. A run goes on under other conditions; it says so, one sentence
each, and `changes` in `[resolved]` keeps after which step they changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from sslkit import machine
from sslkit.distributed.ranks import num_ranks
from sslkit.recipe import Recipe
from sslkit.versions import versions

_IN_WORDS = {
    "precision": "the precision that is computed in",
    "machine.device": "the device",
    "machine.cpu": "the instruction set of torch's kernels on this CPU",
    "machine.threads": "the number of torch's threads (OMP_NUM_THREADS)",
    "machine.processes": "the number of processes that train",
}


def conditions(recipe: Recipe, *, precision: str) -> dict[str, Any]:
    """Those of this process: the precision that it computes in, the machine, and versions."""
    device = machine.device()
    found = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": num_ranks(),
    }
    return {"precision": precision, "versions": versions(recipe), "machine": found}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What both know and is other now, as key -> (before, now); what an older version did not record is no change."""
    then, here = _flat(before), _flat(now)
    return {key: (then[key], here[key]) for key in here if key in then and then[key] != here[key]}


def noted(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], *, step: int, say: Callable[[str], None]
) -> dict[str, list[str]]:
    """Say which conditions are other than those under which a run came to a step.

    Args:
        folder: the run folder.
        before: `[resolved]` in it.
        now: the conditions of this process; none if it computes no step of the run, or all of them.
        step: after which the run goes on.
        say: told each change.

    Returns:
        `changes` for `[resolved]`, those of earlier starts among them; nothing if there were none.
    """
    known = before.get("changes", [])
    found = list(known) if isinstance(known, list) else []
    for key, (then, here) in changes(before, now).items():
        name = key.rpartition(".")[2]
        say(
            f"{folder}: {_IN_WORDS.get(key, name)} was {then} and is {here} now: the run goes on, but no longer bit for bit as "
            f"if it had never stopped."
        )
        found.append(f"after step {step}: {name} {then} -> {here}")
    return {"changes": found} if found else {}


def _flat(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The conditions in `[resolved]` under dotted keys."""
    tables = {name: table for name in ("versions", "machine") if isinstance(table := resolved.get(name), Mapping)}
    inner = {f"{name}.{key}": value for name, table in tables.items() for key, value in table.items()}
    return inner | ({"precision": resolved["precision"]} if "precision" in resolved else {})
