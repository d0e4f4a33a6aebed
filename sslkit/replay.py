"""Replay: one step of a run once more, looked at from inside, with nothing written into the run folder.

All that a step computes is a function of the recipe, the seed, the step and the weights before it. So the weights are those of
the newest checkpoint before the step, and the steps between are trained again: on the machine and with the ranks and threads of
the run, to the same bits.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslkit import bounded
from sslkit.collapse import Spread, projections, spread
from sslkit.datasets.inventory import inventory_of
from sslkit.errors import NonFiniteError, UserError
from sslkit.fingerprint import refuse_other_images
from sslkit.finite import complaint, not_finite
from sslkit.folder import MOST_LINES, RunFolder
from sslkit.journal import step_numbers
from sslkit.observed import Layer, Observed
from sslkit.origin import other_versions
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.rewind import chosen, restored_before
from sslkit.running import Run
from sslkit.signals import StopRequest
from sslkit.train import Scalars, train
from sslkit.watch import noted_stop


@dataclass(frozen=True)
class Gradient:
    """The gradient of a parameter: its norm, NaN or an infinity where it is not finite."""

    name: str
    norm: float
    finite: bool


@dataclass(frozen=True)
class Image:
    """An image of the batch.

    number: in the training images, from 0.
    place: its file, or nothing where it has none, or is not known.
    slope: norm of the gradient of the loss by its outputs: how much it does to the loss.
    finite: whether its views and its outputs are.
    """

    number: int
    place: str
    slope: float
    finite: bool


@dataclass(frozen=True)
class Replay:
    """What a repeated step was like.

    step, steps: which, counted from 1 as in `metrics.jsonl`, of how many.
    start: the steps that the checkpoint had seen; 0 where it began with the first.
    noted: what the run stopped with at this step, as `stopped.json` says; empty if it did not stop there.
    found: what is not finite now, in the same words; empty if all is.
    numbers: what is logged of the step: loss, lr, epoch and scalars.
    logged: what the run logged of it; None if it did not.
    layers, first: what the layers gave, in their order, and the name of the first whose output is not finite, or nothing.
    images: those of the batch, in its order.
    gradients: those of all parameters, not finite ones first, then by their norm.
    z: how far the projections spread; None where the head gave none.
    weights: the norm of all parameters together, before the update.
    """

    step: int
    steps: int
    start: int
    noted: str
    found: str
    numbers: dict[str, float]
    logged: dict[str, Any] | None
    layers: list[Layer]
    first: str
    images: list[Image]
    gradients: list[Gradient]
    z: Spread | None
    weights: float


def replay(folder: Path, *, step: int | None = None, report: Reporter) -> Replay:
    """Repeat a step of a run; the folder is left as it is.

    Args:
        folder: a run folder.
        step: counted from 1, as in `metrics.jsonl`; by default the one at which the run stopped with a number that is not
            finite, else the one after the newest checkpoint, or the last.
        report: where progress is shown, and what should be known of the repetition.

    Raises:
        UserError: the folder holds no run, the images are others than they were, or the run has no such step.
        CheckpointError: the checkpoint is of another network; or the run is a fork, and its first checkpoint is gone.
        NonFiniteError: a step before this one has numbers that are not finite.
    """
    target = RunFolder(folder)
    if not target.resolved.exists():
        raise UserError(f"{folder}: is no run folder; it has no resolved.toml.")
    before = target.read_resolved()
    if sentence := other_versions(before):
        report.say(f"{target.resolved}: {sentence}")
    recipe = dataclasses.replace(Recipe.load(target.resolved), evaluate=(), track=())
    work = Run(recipe, target, report=report, stop=StopRequest())
    refuse_other_images(target, before, work.images)
    noted = noted_stop(target)
    at = chosen(target, step, noted=noted.step if noted else None, steps=work.facts.steps)
    start = restored_before(target, at, work.method, work.optimizer, resolved=before, report=report)
    if start < at - 1:
        _go_on(work, start, at - 1)
    return _examined(work, at, start=start, noted=noted.what if noted and noted.step == at else "")


def _train(work: Run, start: int, stop: int, **functions: Callable[..., Any]) -> None:
    """Train the steps from `start` to `stop` with these functions of the loop."""
    size = work.recipe.train.slice_size
    batches: Iterator[Any] = (
        work.loader.sliced(start, stop, micro_batch=size) if work.sliced else work.loader.batches(start, stop)
    )
    train(
        work.method.train(), work.optimizer, batches=batches, schedule=work.lr, steps=work.facts.steps, start=start, **functions
    )


def _go_on(work: Run, start: int, stop: int) -> None:
    """Train what lies between the checkpoint and the step again."""

    def check(step: int, loss: Tensor, scalars: Scalars) -> None:
        if what := complaint(loss, scalars, parameters=work.method.named_parameters()):
            raise NonFiniteError(f"{what} at step {step + 1} already, before step {stop + 1}. --step {step + 1} shows where.")

    size = work.recipe.train.batch_size
    with work.report.work(f"training: steps {start + 1} to {stop} again", (stop - start) * size) as advance:
        _train(work, start, stop, backward=work.backward, check=check, on_step=lambda *_: advance(size))


def _examined(work: Run, step: int, *, start: int, noted: str) -> Replay:
    """Take one step, and look at all of it."""
    method, seen, found = work.method, Observed(work.method), dict[str, Any]()

    def backward(_: Any, batch: Any, at: int) -> tuple[Tensor, Scalars]:
        with seen.noted(), projections(method) as zs:
            loss, scalars = work.backward(seen, batch, at)
        found["z"] = spread(torch.cat(zs)) if zs else None
        found["images"] = _images(work.loader.images, batch.indices.tolist(), seen)
        return loss, scalars

    def check(at: int, loss: Tensor, scalars: Scalars) -> None:
        per_epoch = work.facts.steps_per_epoch
        found["numbers"] = step_numbers(at + 1, loss, scalars, optimizer=work.optimizer, steps_per_epoch=per_epoch)
        found["gradients"], found["weights"] = _gradients(method), _norm([one.detach() for one in method.parameters()])
        if what := complaint(loss, scalars, parameters=method.named_parameters()):
            raise NonFiniteError(what)

    wrong = ""
    try:
        _train(work, step - 1, step, backward=backward, check=check)
        if names := not_finite(method.named_parameters()):
            wrong = f"{names[0]} is not finite after the update"
    except NonFiniteError as error:
        wrong = str(error)
    logged = _logged(work.folder, step)
    steps, layers = work.facts.steps, list(seen.layers.values())
    return Replay(
        step=step, steps=steps, start=start, noted=noted, found=wrong, logged=logged, layers=layers, first=seen.first, **found
    )


def _images(images: object, indices: list[int], seen: Observed) -> list[Image]:
    files = inventory_of(images)
    places = ["" if files is None else str(files.path(index)) for index in indices]
    slopes, wrong = seen.rows.slopes().tolist(), seen.rows.not_finite().tolist()
    return [Image(*one) for one in zip(indices, places, slopes, [not one for one in wrong], strict=True)]


def _gradients(method: nn.Module) -> list[Gradient]:
    trained = [(name, one.grad) for name, one in method.named_parameters() if one.grad is not None]
    wrong = set(not_finite(trained))
    found = [Gradient(name, _norm([gradient]), name not in wrong) for name, gradient in trained]
    return sorted(found, key=lambda one: (one.finite, -one.norm))


def _norm(tensors: list[Tensor]) -> float:
    """In float64, where no square of a float32 overflows."""
    return float(torch.stack([one.double().square().sum() for one in tensors]).sum().sqrt())


def _logged(folder: RunFolder, step: int) -> dict[str, Any] | None:
    """What `metrics.jsonl` says of a step; None where there is no such line, or none that can be read."""
    path = folder.path / "metrics.jsonl"
    text = bounded.read(path, most=MOST_LINES, what="such a file").decode("utf-8") if path.exists() else ""
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:  # the last line of a run that was killed may be cut off
            continue
        if isinstance(found, dict) and found.get("step") == step:
            return {key: value for key, value in found.items() if key != "step"}
    return None
