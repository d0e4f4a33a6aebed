"""Watch: a step whose numbers are not finite ends the run before the update, says where it is, and is noted in the run folder.

The note, `stopped.json`, holds `step`, counted as in `metrics.jsonl`, and `what`. It is there until the run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from sslkit import bounded, json_text
from sslkit.distributed.ranks import is_leader
from sslkit.errors import NonFiniteError, ResourceError, RunFolderError
from sslkit.finite import complaint, not_finite
from sslkit.folder import RunFolder
from sslkit.whole_files import write

_MOST = 2**16  # bytes of the note
_REMEDIES = "A smaller train.base_lr or a longer train.warmup_epochs are the usual remedies."


class Stop(NamedTuple):
    """At which step a run has stopped, from 1, and what was not finite."""

    step: int
    what: str


def noted_stop(folder: RunFolder) -> Stop | None:
    """The note in a run folder; None where there is none. RunFolderError if it can't be read."""
    if not folder.stopped.exists():
        return None
    try:
        found = json_text.parse(bounded.read(folder.stopped, most=_MOST, what="such a note"))
        stop = Stop(found["step"], found["what"])
        if type(stop.step) is not int or not isinstance(stop.what, str):
            raise TypeError("it says no step")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"{folder.stopped}: can't be read: {error}. Delete it, and name a step with --step.") from error
    return stop


def refuse_step(folder: RunFolder, step: int, *, loss: Tensor, scalars: Mapping[str, Tensor], method: nn.Module) -> None:
    """Raise NonFiniteError if the loss or a gradient of a step is not finite; nothing must be updated before.

    Loss and gradients are the same on all ranks by then (the outputs are gathered, the gradients averaged), so all raise.

    Args:
        folder: the run folder; the leader notes the step in it.
        step: counted from 1, as in `metrics.jsonl`.
        loss: the loss of the step.
        scalars: the numbers beside it.
        method: what is trained, with its gradients.
    """
    if what := complaint(loss, scalars, parameters=method.named_parameters()):
        _stop(folder, step, what, then="nothing was updated with it")


def refuse_weights(folder: RunFolder, step: int, *, method: nn.Module) -> None:
    """Raise NonFiniteError if a weight is not finite after a step, so that no checkpoint gets it; the leader notes the step."""
    named = list(method.named_parameters())
    if wrong := not_finite(named):
        what = f"{wrong[0]} is not finite ({len(wrong)} of {len(named)} parameters are not) after the update"
        _stop(folder, step, what, then="no checkpoint is written with it")


def _stop(folder: RunFolder, step: int, what: str, *, then: str) -> None:
    saved = folder.last
    kept = f"The last checkpoint is {saved}." if saved else "No checkpoint is written yet."
    also = ""
    try:
        if is_leader():
            write(folder.stopped, (json.dumps(Stop(step, what)._asdict()) + "\n").encode())
    except ResourceError as error:  # what stops the run is the number
        also = f" {error}"
    raise NonFiniteError(
        f"{what} at step {step}; {then}. {kept} `sslkit replay {folder.path}` repeats the step and shows where it arises. "
        f"{_REMEDIES}{also}"
    )
