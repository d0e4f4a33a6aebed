"""Rewind: which step of a run is to be repeated, and its network and optimizer as they were before an earlier one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from sslkit import checkpoint
from sslkit.checkpoint import Checkpoint
from sslkit.checkpoint_folder import first_whole, newest_first
from sslkit.errors import CheckpointError, UserError
from sslkit.folder import RunFolder
from sslkit.origin import origin
from sslkit.progress import Reporter


def chosen(folder: RunFolder, asked: int | None, *, noted: int | None, steps: int) -> int:
    """The step to repeat, from 1: the one that is asked for, else the noted one, else the one after the newest checkpoint.

    Raises:
        UserError: the run has no such step.
    """
    step = noted if asked is None else asked
    if step is None:
        claimed = [checkpoint.claimed_step(path) for path in newest_first(folder.checkpoints)]
        saved = max((int(one) for one in claimed if one < math.inf), default=0)
        step = min(saved + 1, steps)
    if not 1 <= step <= steps:
        raise UserError(f"--step: must be from 1 to {steps}, the last step of this run, is {step}.")
    return step


def restored_before(
    folder: RunFolder,
    step: int,
    method: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    resolved: Mapping[str, Any],
    report: Reporter,
) -> int:
    """Put everything back as it was at the newest whole checkpoint before a step; gives the steps done by then, 0 without any.

    Args:
        folder: the run folder; nothing in it is moved.
        step: counted from 1.
        method: gets the weights.
        optimizer: gets what it keeps for each of them.
        resolved: the resolved recipe of the folder; it says whether the run began with the checkpoint of another one.
        report: told from where it goes on.

    Raises:
        CheckpointError: the checkpoint is of another network, or the one that a fork began with is gone.
    """
    found = _newest_before(folder, step, report)
    if found is None:
        if resolved.get("resolved", {}).get("forked_from"):
            raise CheckpointError(
                f"{folder.checkpoints}: holds no whole checkpoint before step {step}, and this run began with another one's."
            )
        report.say(f"{folder.path}: no checkpoint before step {step} is there, so it begins with the first step")
        return 0
    try:
        checkpoint.restore(found, method, optimizer)
    except CheckpointError as error:
        raise CheckpointError(f"{error}. {origin(folder.path)}") from error
    start = checkpoint.step_of(found)
    report.say(f"{folder.path}: begins with {found.path.name}, {step - 1 - start} steps before step {step}")
    return start


def _newest_before(folder: RunFolder, step: int, report: Reporter) -> Checkpoint | None:
    before = (one for one in newest_first(folder.checkpoints) if not step <= checkpoint.claimed_step(one) < math.inf)
    found, refused = first_whole(before)
    for _, error in refused:
        report.say(f"{error} The one before it is used.")
    return found
