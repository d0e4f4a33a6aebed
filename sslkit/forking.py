"""Forking: a run goes on from another one's newest checkpoint with an edited recipe, in a folder of its own.

The fork has the weights of the checkpoint, and, with the same optimizer, what that keeps for each weight. It goes on at the
same place of the epochs: where the checkpoint was made after `e` epochs and `i` of the `n` steps of the next one, the fork
begins at `e * m + i * m // n` of its own steps, of which an epoch has `m`. There the schedule is that of the edited recipe, as
if it had been followed from the beginning; nothing is rescaled and no warm-up is begun anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from sslkit import checkpoint
from sslkit.checkpoint import Checkpoint
from sslkit.checkpoint_folder import first_whole, newest_first, path_of
from sslkit.errors import CheckpointError, RunFolderError, UserError
from sslkit.facts import Facts
from sslkit.folder import RunFolder
from sslkit.recipe import Recipe


@runtime_checkable
class Edited(Protocol):
    """What a fork needs to know of the run that it begins: the edited recipe, what follows from it, and its network."""

    recipe: Recipe
    facts: Facts
    method: nn.Module


def destination(folder: RunFolder, recipe: Recipe, *, fresh: bool, fork: bool) -> RunFolder:
    """Where a run lies that names this folder: in it, or in a new one beside it; a fork that was begun before, where it is.

    Raises:
        UserError: it can't be both fresh and a fork, or there is no checkpoint to go on from.
    """
    if fresh and fork:
        raise UserError("--fork: goes on from a run, and --fresh starts one anew; give one of them.")
    if not fork:
        return folder.beside() if fresh else folder
    if not folder.resolved.exists() or folder.last is None:
        raise RunFolderError(
            f"--fork: {folder.path} holds no run with a checkpoint to go on from. Name one with -o FOLDER, or leave --fork out."
        )
    begun = (beside for beside in _numbered(folder) if _is_fork(beside.read_resolved(), folder, recipe))
    return next(begun, folder.beside())


def fork(source: RunFolder, target: RunFolder, edited: Edited, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Put the newest whole checkpoint of a run into the folder of its fork; nothing of the run is changed.

    Args:
        source: the run.
        target: the folder of the fork; the checkpoint is the first thing in it.
        edited: the run that the fork is to be.
        say: told where the fork begins.

    Returns:
        What stands in `[resolved]`: `forked_from`, with the folder's name, the step and the hash of the recipe there.

    Raises:
        RunFolderError: the weights don't fit, or the fork would be at its end already.
        CheckpointError: no checkpoint is whole.
    """
    found = _newest_whole(source, say)
    step, there, facts = checkpoint.step_of(found), source.read_resolved().get("resolved", {}), edited.facts
    if not isinstance(steps := there.get("steps_per_epoch"), int) or steps < 1:
        raise RunFolderError(f"{source.resolved}: does not say how many steps an epoch has, in [resolved] steps_per_epoch.")
    epoch, inside = divmod(step, steps)
    begins = epoch * facts.steps_per_epoch + inside * facts.steps_per_epoch // steps
    if begins >= facts.steps:
        raise RunFolderError(
            f"--fork: {found.path} is after {step / steps:g} epochs, and this recipe has {edited.recipe.train.epochs}; "
            f"there is nothing left to train. Set train.epochs higher."
        )
    if difference := checkpoint.difference(found, edited.method):
        raise RunFolderError(
            f"--fork: the weights of {found.path} don't fit the network of this recipe: {difference}. What is trained has to "
            f"stay the same; --fresh trains another from the beginning."
        )
    say(f"{target.path}: forked from {source.path} after step {step}, {step / steps:g} epochs")
    tensors = _kept(found, edited.recipe, say)
    stored = {"kind": "checkpoint", "step": begins, "recipe": edited.recipe.to_dict()}
    checkpoint.save(path_of(target.checkpoints, begins), tensors, stored)
    return {"forked_from": {"folder": source.path.name, "step": step, "recipe": str(there.get("recipe", "unknown"))}}


def past(folder: RunFolder, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What the resolved recipe in a run folder tells of the run's past: whether it is a fork, and of which run.

    Raises:
        CheckpointError: it is one, and the checkpoint that it began with is gone; it would begin with weights that are none.
    """
    if not (forked_from := _forked_from(resolved)):
        return {}
    if folder.last is None:
        raise CheckpointError(
            f"{folder.checkpoints}: is empty, and this run began with a checkpoint of {forked_from.get('folder')!r}. Bring one "
            f"back, or remove the folder and fork anew."
        )
    return {"forked_from": dict(forked_from)}


def identity(digest: str, past: Mapping[str, Any]) -> str:
    """The recipe's hash as it stands beside numbers; a fork's says what it was forked from, for that moved its weights too."""
    if (forked_from := past.get("forked_from")) is None:
        return digest
    return f"{digest}, forked after step {forked_from['step']} of {forked_from['recipe']}"


def _forked_from(resolved: Mapping[str, Any]) -> Mapping[str, Any]:
    derived = resolved.get("resolved")
    found = derived.get("forked_from") if isinstance(derived, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_fork(resolved: Mapping[str, Any], folder: RunFolder, recipe: Recipe) -> bool:
    """Whether a resolved recipe is that of the fork of a folder with this recipe."""
    return _forked_from(resolved).get("folder") == folder.path.name and not recipe.differences(resolved)


def _numbered(folder: RunFolder) -> list[RunFolder]:
    """The run folders NAME-2, NAME-3, ... in this order."""
    name = re.compile(re.escape(folder.path.name) + r"-(\d+)")
    numbers = [int(found[1]) for path in folder.path.parent.iterdir() if (found := name.fullmatch(path.name))]
    beside = [RunFolder(folder.path.with_name(f"{folder.path.name}-{number}")) for number in sorted(numbers)]
    return [one for one in beside if one.resolved.exists()]


def _newest_whole(source: RunFolder, say: Callable[[str], None]) -> Checkpoint:
    """The newest checkpoint that verifies; damaged ones stay where they are, since the run is not ours to change."""
    found, refused = first_whole(newest_first(source.checkpoints))
    if found is None:
        raise CheckpointError(
            "\n".join([*(str(error) for _, error in refused), f"No checkpoint in {source.checkpoints} is whole."])
        )
    for _, error in refused:
        say(f"{error} {found.path} is used.")
    return found


def _kept(found: Checkpoint, recipe: Recipe, say: Callable[[str], None]) -> dict[str, Tensor]:
    """What of a checkpoint the fork begins with: all, or the weights alone where another optimizer goes on."""
    before = found.facts.get("recipe", {}).get("optimizer", {}).get("name")
    if before == recipe.optimizer.name:
        return found.tensors
    say(f"optimizer: {before} -> {recipe.optimizer.name}; what it keeps for each weight begins anew.")
    return {name: tensor for name, tensor in found.tensors.items() if not name.startswith("optimizer/")}
