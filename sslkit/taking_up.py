"""Taking up: a run that was stopped goes on from its newest whole checkpoint, if nothing that it depends on has changed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sslkit import bounded, checkpoint
from sslkit.checkpoint_folder import newest_whole
from sslkit.distributed.agreement import bytes_from_leader, led, together
from sslkit.distributed.ranks import is_leader, num_ranks
from sslkit.errors import CheckpointError
from sslkit.folder import RunFolder
from sslkit.origin import origin
from sslkit.progress import Reporter


def restored(folder: RunFolder, method: nn.Module, optimizer: torch.optim.Optimizer, *, report: Reporter) -> int:
    """Put everything back as it was at the newest checkpoint that is whole; gives the steps done by then, 0 without any.

    Newer ones that are damaged are moved out of its way, and `report` says so.

    Raises:
        CheckpointError: there are checkpoints and none is whole, or the newest whole one is not of this network and optimizer.
    """
    found = None
    with together():
        if is_leader():
            found = _newest(folder, report)
    with together():
        found = _on_all_ranks(found)
        if found is None:
            return 0
        try:
            checkpoint.restore(found, method, optimizer)
            return checkpoint.step_of(found)
        except CheckpointError as error:
            raise CheckpointError(f"{error}. {origin(folder.path)}") from error


def _newest(folder: RunFolder, report: Reporter) -> checkpoint.Checkpoint | None:
    found, refused = newest_whole(folder.checkpoints)
    for sentence in refused:
        report.say(sentence)
    return found


def _on_all_ranks(found: checkpoint.Checkpoint | None) -> checkpoint.Checkpoint | None:
    """What the leader found, sent to the others: the folder may lie on its own disk."""
    path = led(lambda: None if found is None else str(found.path))
    if path is None or num_ranks() == 1:
        return found
    return checkpoint.parse(bytes_from_leader(_bytes(Path(path)) if is_leader() else b""), Path(path))


def _bytes(path: Path) -> bytes:
    try:
        return bounded.read(path, most=checkpoint.MOST_BYTES, what="a checkpoint")
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}.") from error
