"""The checkpoints of a run: what they are called, which is the newest, which are thrown away, and where damaged ones go.

`step_0000123.safetensors` is written on the way; the newest two of these stay. `epoch_0100.safetensors` takes its place after
an epoch whose checkpoint the recipe keeps, and stays. Which of all is the newest is read off the files themselves, so the
`last.safetensors` of sslkit 0.1.0 is one among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from sslkit import checkpoint
from sslkit.checkpoint import Checkpoint
from sslkit.errors import CheckpointError, RunFolderError

_ROLLING = 2  # of those on the way; should the newest be damaged, there is one before it
_DAMAGED = "damaged"


def path_of(folder: Path, step: int, *, kept_epoch: int | None = None) -> Path:
    """Where the checkpoint after a step lies; after `kept_epoch` it is one that stays."""
    return folder / (f"step_{step:07d}.safetensors" if kept_epoch is None else f"epoch_{kept_epoch:04d}.safetensors")


def newest_first(folder: Path) -> list[Path]:
    """All checkpoints of a folder by the steps that they speak of; what speaks of none comes first, so that it is noticed."""
    return sorted(folder.glob("*.safetensors"), key=lambda path: (checkpoint.claimed_step(path), path.name), reverse=True)


def newest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint, verified; None without any.

    Raises:
        CheckpointError: it is damaged; older ones are not looked at.
    """
    return next((checkpoint.load(path) for path in newest_first(folder)), None)


def newest_whole(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that verifies, and a sentence about each newer one, which is moved out of its way into `damaged/`.

    Raises:
        CheckpointError: there are some and none verifies. They stay where they are: a start without them would be one anew.
    """
    found, refused = first_whole(newest_first(folder))
    if found is None and refused:
        each = "\n".join(str(error) for _, error in refused)
        raise CheckpointError(f"{each}\nNo checkpoint in {folder} is whole. Bring one back, or start anew with --fresh.")
    if found is None:
        return None, []
    return found, [f"{error} It was moved to {_set_aside(damaged)}, and {found.path} is used." for damaged, error in refused]


def first_whole(paths: Iterable[Path]) -> tuple[Checkpoint | None, list[tuple[Path, CheckpointError]]]:
    """The first of some files that verifies, if one does, and those before it with what is wrong with them; none is moved."""
    refused: list[tuple[Path, CheckpointError]] = []
    for path in paths:
        try:
            return checkpoint.load(path), refused
        except CheckpointError as error:
            refused.append((path, error))
    return None, refused


def on_the_way(folder: Path) -> list[Path]:
    """The checkpoints that are not kept for good, the oldest first; a `last` is from before there were others."""
    numbered = {int(found[1]): path for path in folder.glob("step_*") if (found := re.fullmatch(r"step_(\d+)", path.stem))}
    return [*folder.glob("last.safetensors"), *(numbered[step] for step in sorted(numbered))]


def purge(folder: Path) -> None:
    """Delete the checkpoints on the way but for the newest two; of one that is a link, only the link.

    Raises:
        RunFolderError: the folder is a link, so that what lies there may be another's.
    """
    refuse_link(folder)
    for path in on_the_way(folder)[:-_ROLLING]:
        path.unlink()


def refuse_link(folder: Path) -> None:
    """Raise RunFolderError if a folder inside of a run folder, in which sslkit deletes what it wrote, is a link."""
    if folder.is_symlink():
        raise RunFolderError(
            f"{folder}: is a link to {str(folder.readlink())!r}. sslkit deletes old files of a run and never leaves its folder "
            f"for that. Put a real folder there; the run folder as a whole may be a link."
        )


def _set_aside(path: Path) -> Path:
    """Move a file into `damaged/` beside it, over none that is there already; gives its place."""
    place = path.parent / _DAMAGED
    refuse_link(place)
    place.mkdir(exist_ok=True)
    names = (f"{path.stem}{'' if number == 1 else f'-{number}'}{path.suffix}" for number in count(1))
    free = next(place / name for name in names if not (place / name).exists())
    return path.rename(free)
