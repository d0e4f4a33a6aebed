"""Running: the objects of one run, and what happens at each step of it: train, log, save, evaluate, stop."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

from torch import Tensor

from sslkit import build, checkpoint, checkpoint_folder, encoder, forking, gradient, machine, micro_batches, schedule
from sslkit.collapse import Watched
from sslkit.conditions import conditions, noted
from sslkit.datasets.images import Images
from sslkit.datasets.stand_in import complaints_of, skipped, unreadable_of
from sslkit.distributed.agreement import largest_of_all, led, of_all, refuse_differences
from sslkit.distributed.batch_norm import with_global_norm, with_own_norm
from sslkit.distributed.ranks import is_leader, num_ranks, rank
from sslkit.errors import DataError, Stopped, UserError
from sslkit.evaluate import Evaluator
from sslkit.evaluation_checks import check_layers
from sslkit.facts import facts
from sslkit.fingerprint import fingerprint, refuse_other_images
from sslkit.folder import RunFolder
from sslkit.journal import Journal, step_numbers
from sslkit.loader import Batch, Loader, Plan
from sslkit.online_check import require_classes
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.resources import refuse_too_little_room
from sslkit.results import Result
from sslkit.sections import Part
from sslkit.signals import StopRequest, awaited, stopped
from sslkit.stopwatch import Stopwatch
from sslkit.taking_up import restored
from sslkit.train import Scalars, train
from sslkit.versions import versions
from sslkit.watch import refuse_step, refuse_weights

OpenImages = Callable[[str], Images]


class Run:
    """One run: its objects, and what happens at each step of it.

    Building one opens all data and builds all components, so that mistakes show before anything is written.

    Args:
        recipe: what to do.
        folder: where.
        report: where progress is shown.
        stop: whether somebody has asked for a stop.
        open_images: split -> images; the recipe's dataset, or stand-ins for a smoke test.
    """

    def __init__(
        self, recipe: Recipe, folder: RunFolder, *, report: Reporter, stop: StopRequest, open_images: OpenImages | None = None
    ) -> None:
        self.recipe, self.folder, self.report, self.stop = recipe, folder, report, stop
        refuse_ranks_without_images(recipe, num_ranks())
        self.device = machine.device()
        if self.device.type == "cpu":
            machine.keep_freed_memory()
        self.precision = machine.precision(recipe.train.precision)
        if self.precision != recipe.train.precision:
            report.say("train.precision: this CPU has no bf16 of its own and would be several times slower: computing in fp32.")
        opener = cache(open_images or partial(build.images, recipe))
        split = recipe.data.options["split"]
        images = build.training_images(recipe, opener)
        self.channels = images.channels
        self.facts = facts(recipe, len(images))
        classes = require_classes(images, split) if recipe.train.online_probe else None
        if images.labels is None and recipe.loss is not None and build.loss_sees_labels(recipe):
            raise DataError(f"loss: {recipe.loss.name!r} needs labels, and the split {split!r} has none.")
        self.images = fingerprint(images, labelled=build.needs_labels(recipe))
        self.evaluator = Evaluator(recipe, opener, folder=folder.path, report=report, poll=stop.poll)
        plan = Plan(len(images), recipe.train.batch_size, recipe.train.seed)
        workers = machine.num_workers(recipe.data.options["workers"])
        views = [build.view(view) for view in recipe.views]
        self.loader = Loader(images, views, plan=plan, workers=workers, rank=rank(), num_ranks=num_ranks())
        method = build.method(recipe, in_channels=images.channels, num_classes=classes)
        check_layers(recipe, method.head)
        self.method: Any = with_global_norm(method.to(self.device))
        self.optimizer = build.optimizer(recipe, self.method, lr=self.facts.peak_lr)
        self.start: int | None = None  # steps done already, once `restore` has looked
        self.done = self.saved = 0  # steps
        self.past: dict[str, Any] = {}  # what led to this run, once `take_up` has looked
        self.journal = Journal(folder, report=report, evaluate=recipe.evaluate)
        self.sliced = recipe.train.slice_size < recipe.train.batch_size
        self.watch = Stopwatch(recipe.train.batch_size)

    def about(self) -> dict[str, Any]:
        """What has to be the same on all ranks."""
        return {
            "recipe": self.recipe.digest(),
            "num_images": self.facts.num_images,
            "the digest of the images": self.images.digest,
            "versions": versions(self.recipe),
        }

    def resolved(self) -> str:
        """The recipe as TOML with every default, and in `[resolved]` every number derived and every version."""
        derived = {
            **self.facts._asdict(),
            "images": self.images.digest,
            "recipe": self.evaluator.digest,
            **self.past,
            **conditions(self.recipe, precision=self.precision),
        }
        return self.recipe.to_toml(resolved=derived)

    def take_up(self, before: Mapping[str, Any] | None, *, source: RunFolder | None = None) -> None:
        """Go on as the folder's resolved recipe says, or begin as a fork of another run; what does not fit is refused."""
        if before is not None:
            led(lambda: refuse_other_images(self.folder, before, self.images))
            self.past = led(lambda: forking.past(self.folder, before))
            start = self.restore()  # before resolved.toml names what is installed now: it may name what fits
            now = conditions(self.recipe, precision=self.precision) if 0 < start < self.facts.steps else {}
            self.past |= noted(self.folder.path, before.get("resolved", {}), now, step=start, say=self.report.say)
        elif source is not None:
            self.past = led(lambda: forking.fork(source, self.folder, self, say=self.report.say))
        self.evaluator.digest = forking.identity(self.recipe.digest(), self.past)

    def complete(self) -> None:
        """Resume or start, train to the end, evaluate, and write down the results."""
        led(self.folder.probe)
        led(self.folder.tidy)
        start = self.restore()
        epochs = range(start // self.facts.steps_per_epoch, self.recipe.train.epochs)  # that are still to come, from 0
        keep_every = self.recipe.train.keep_every_epochs
        led(lambda: refuse_too_little_room(self.folder, self.method, self.optimizer, epochs=epochs, keep_every=keep_every))
        led(partial(self._open_journal, start))
        try:
            self._evaluate_due(start)
            self._train(start)
            led(self._finish)
        finally:
            self.journal.close()
            for line in skipped(self._images()):
                self.report.say(line)

    def _open_journal(self, start: int) -> None:
        self.folder.stopped.unlink(missing_ok=True)
        self.journal.take_up(step=start, epoch=start / self.facts.steps_per_epoch)
        self.journal.open([build.component(part, folder=self.folder.path, step=start) for part in self.recipe.track])

    def _images(self) -> list[Images]:
        """All that is trained on and evaluated."""
        return [self.loader.images, *(split.images for split in self.evaluator.splits)]

    def restore(self) -> int:
        """Put everything back as it was at the newest checkpoint, once; gives the steps done by then."""
        if self.start is None:
            self.start = restored(self.folder, self.method, self.optimizer, report=self.report)
            self.done = self.saved = self.start
            if self.start:
                self.report.say(f"{self.folder.path}: goes on after step {self.start} of {self.facts.steps}")
        return self.start

    def _train(self, start: int) -> None:
        if start >= self.facts.steps:
            return
        steps = self.facts.steps
        watched = Watched(self.backward, when=lambda step: self._is_logged(step + 1), say=self.report.say)
        self.report.training(start=start, steps=steps)
        self.watch.restart()
        try:
            train(
                self.method.train(),
                self.optimizer,
                batches=self._batches(start, steps),
                schedule=self.lr,
                steps=steps,
                backward=watched,
                check=self._check,
                on_step=self._on_step,
                start=start,
            )
        except Stopped:
            if self.saved < self.done:  # while the next batch was awaited
                self._save(self.done, kept_epoch=None)
            raise
        finally:
            self.report.trained()

    def lr(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return schedule.lr_at(step, steps=self.facts.steps, warmup_steps=self.facts.warmup_steps, peak=self.facts.peak_lr)

    def backward(self, method: Any, batch: Any, step: int) -> tuple[Tensor, Scalars]:
        """The gradients of a step, counted from 0, and its loss and scalars."""
        compute = gradient.in_micro_batches if self.sliced else gradient.whole
        return compute(method, batch, step, seed=self.recipe.train.seed, device=self.device, precision=self.precision)

    def _batches(self, start: int, stop: int) -> Iterator[Any]:
        if not self.sliced:
            return self._awaited(self.watch.timed(self.loader.batches(start, stop)))
        batches = self.loader.sliced(start, stop, micro_batch=self.recipe.train.slice_size)
        return (one._replace(first=self._shown(one.first, 0.0), second=self._shown(one.second, 0.5)) for one in batches)

    def _awaited(self, batches: Iterator[Batch], *, when: Callable[[], bool] = lambda: True) -> Iterator[Batch]:
        """The same, interrupted by a stop that is asked for; of several ranks none can leave alone."""
        return batches if num_ranks() > 1 else awaited(batches, self.stop, when=when)

    def _shown(self, slices: Iterator[Batch], fraction: float) -> Iterator[Batch]:
        """The slices of a batch; a step with many of them takes long, and its progress shows."""
        for one in self._awaited(self.watch.timed(slices), when=lambda: self.saved == self.done):  # nothing is lost then
            yield one
            fraction += len(one.indices) / self.recipe.train.batch_size / 2
            self.report.part(fraction)

    def _check(self, step: int, loss: Tensor, scalars: Scalars) -> None:
        refuse_step(self.folder, step + 1, loss=loss, scalars=scalars, method=self.method)

    def _is_logged(self, step: int) -> bool:
        """Whether the numbers of a step, counted from 1, are written down."""
        return step == self.facts.steps or step % self.recipe.train.log_every == 0

    def _on_step(self, step: int, loss: Tensor, scalars: Scalars) -> bool:
        """Log, save, evaluate, stop: in this order, so that nothing is lost."""
        self.watch.step()
        self.done, asked = step, largest_of_all(self.stop.number if self.stop else 0)
        epoch, inside = divmod(step, self.facts.steps_per_epoch)
        last = step == self.facts.steps
        per_epoch, logged = self.facts.steps_per_epoch, self._is_logged(step)
        numbers = {"epoch": step / per_epoch, "loss": loss.item()}
        if logged:
            numbers = step_numbers(step, loss, scalars, optimizer=self.optimizer, steps_per_epoch=per_epoch)
            if is_leader():
                self.journal.log(step, numbers, timing=self.watch.lap())
        self._report(step, numbers, logged=logged)
        kept = inside == 0 and epoch % self.recipe.train.keep_every_epochs == 0
        if asked or last or kept or (inside == 0 and self._saved_after(epoch)):
            self._save(step, kept_epoch=epoch if kept else None)
        if asked:
            raise stopped(asked)
        if not last:
            self._evaluate_due(step)
        return False

    def _saved_after(self, epoch: int) -> bool:
        """Every so many epochs, and before an evaluation, which can be interrupted."""
        return epoch % self.recipe.train.checkpoint_every_epochs == 0 or bool(self.evaluator.due(epoch))

    def _report(self, step: int, numbers: Mapping[str, float], *, logged: bool) -> None:
        shown = {"epochs": self.recipe.train.epochs, "images_per_second": self.watch.images_per_second}
        self.report.step(step, {**numbers, **shown, "epoch": math.ceil(numbers["epoch"])}, logged=logged)

    def _save(self, step: int, *, kept_epoch: int | None) -> None:
        path = checkpoint_folder.path_of(self.folder.checkpoints, step, kept_epoch=kept_epoch)
        tensors = checkpoint.state(self.method, self.optimizer)
        if num_ranks() > 1:
            refuse_differences(
                {"weights": checkpoint.digest(tensors)}, advice="The machines compute differently; use equal ones."
            )
        refuse_weights(self.folder, step, method=self.method)  # on all ranks, since their weights are equal
        met = unreadable_of(self.loader.images)
        for theirs in of_all(list(met.items())):
            met.update((number, complaint) for number, complaint in theirs)
        facts = {"kind": "checkpoint", "step": step, "recipe": self.recipe.to_dict()}
        led(lambda: checkpoint.save(path, tensors, facts))
        led(lambda: checkpoint_folder.purge(self.folder.checkpoints))
        self.saved = step

    def _evaluate_due(self, step: int) -> None:
        """The evaluations on the way, unless they were done before a stop."""
        epoch, inside = divmod(step, self.facts.steps_per_epoch)
        parts = self.evaluator.due(epoch)
        if parts and inside == 0 and step not in (0, self.facts.steps) and not led(lambda: self.journal.evaluated(epoch)):
            led(lambda: self._record(epoch, parts))
            self.watch.restart()

    def _record(self, epoch: int, parts: Sequence[Part], *, before: Sequence[Result] = (), finished: bool = False) -> None:
        """Evaluate, and write down what was found."""
        results = [*before, *self._evaluated(epoch, parts)]
        step, unreadable = epoch * self.facts.steps_per_epoch, complaints_of(self._images())
        self.journal.record(results, step=step, epoch=epoch, unreadable=unreadable, finished=finished)

    def _evaluated(self, epoch: int, parts: Sequence[Part]) -> list[Result]:
        f, g = (with_own_norm(copy.deepcopy(network)) for network in (self.method.backbone, self.method.head))
        online = getattr(self.method, "classifier", None)
        with self.stop.at_once():
            return self.evaluator.trained(f, g, epoch=epoch, parts=parts, online=online)

    def _finish(self) -> None:
        facts = {
            "backbone": self.recipe.backbone.to_dict(),
            "channels": self.channels,
            "view": [part.to_dict() for part in self.recipe.evaluation_augmentations],
            "epoch": self.recipe.train.epochs,
            "recipe": self.evaluator.digest,
        }
        encoder.save(self.folder.encoder, self.method.backbone, facts=facts)
        last = self.recipe.train.epochs
        with self.stop.at_once():
            baselines = self.evaluator.baselines(in_channels=self.channels)
        self._record(last, self.recipe.evaluate, before=baselines, finished=True)


def refuse_ranks_without_images(recipe: Recipe, number: int) -> None:
    """Raise UserError if so many processes share a batch, or a slice, of fewer images."""
    slices = micro_batches.slices(recipe.train.batch_size, recipe.train.micro_batch)
    fewest = min(rows.stop - rows.start for rows in slices)
    if number > fewest:
        which = "train.batch_size" if len(slices) == 1 else "train.micro_batch"
        raise UserError(f"{which}: {number} processes share {fewest} images; each needs one at least.")
