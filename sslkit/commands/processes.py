"""`sslkit run --nproc N`: the same command in N processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sslkit.errors import UserError

if TYPE_CHECKING:
    from sslkit.recipe import Recipe


def in_processes(
    number: int, recipe: str, *, checked: Recipe, folder: Path, overrides: Sequence[str], fresh: bool, fork: bool
) -> int:
    """Train in N processes, and start them again after one has died; gives the exit status.

    Args:
        number: how many.
        recipe: as the user named it.
        checked: what it holds, with the overrides.
        folder: the run folder.
        overrides: `KEY=VALUE`.
        fresh: start anew beside it.
        fork: go on beside it.
    """
    if "WORLD_SIZE" in os.environ:
        raise UserError("--nproc: torchrun has started this process already; leave --nproc out, or leave torchrun out.")
    import torch

    if torch.cuda.is_available() and number > (found := torch.cuda.device_count()):
        raise UserError(f"--nproc: is {number}, and this machine has {found} GPUs; each process takes one.")
    from sslkit.commands.shared import console
    from sslkit.distributed.launch import launch
    from sslkit.folder import RunFolder
    from sslkit.forking import destination
    from sslkit.progress import reporter

    target = destination(RunFolder(folder), checked, fresh=fresh, fork=fork)  # decided once: a restart goes on in it
    named = [str(folder), "--fork"] if fork else [str(target.path)]  # a fork that was begun is found again
    command = ["-m", "sslkit", "run", recipe, "-o", *named, *(word for one in overrides for word in ("--set", one))]
    return launch(command, num_processes=number, state=target.checkpoint_names, say=reporter(console()).say)
