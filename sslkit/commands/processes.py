"""`sslkit run --nproc N`: the same command in N processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sslkit.errors import UserError


def in_processes(number: int, recipe: str, *, folder: Path, overrides: Sequence[str], fresh: bool) -> int:
    """Train in N processes, and start them again after one has died; gives the exit status."""
    if "WORLD_SIZE" in os.environ:
        raise UserError("--nproc: torchrun has started this process already; leave --nproc out, or leave torchrun out.")
    import torch

    if torch.cuda.is_available() and number > (found := torch.cuda.device_count()):
        raise UserError(f"--nproc: is {number}, and this machine has {found} GPUs; each process takes one.")
    from sslkit.commands.shared import console
    from sslkit.distributed.launch import launch
    from sslkit.folder import RunFolder
    from sslkit.progress import reporter

    target = RunFolder(folder).beside() if fresh else RunFolder(folder)  # decided once: a restart goes on in it
    command = ["-m", "sslkit", "run", recipe, "-o", str(target.path), *(word for one in overrides for word in ("--set", one))]
    return launch(command, num_processes=number, state=target.checkpoint_names, say=reporter(console()).say)
