"""The life of a run: a recipe becomes objects, they train, the encoder is evaluated, and all of it lies in one folder."""

from __future__ import annotations

import math
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import sslkit
from sslkit import build, checkpoint, encoder, gradient, schedule, toml
from sslkit.datasets.images import Images
from sslkit.datasets.subset import limited
from sslkit.errors import DataError, NonFiniteError, Stopped, UserError
from sslkit.evaluate import Evaluator, Result
from sslkit.folder import RunFolder
from sslkit.loader import Batch, Loader, Plan
from sslkit.progress import Reporter
from sslkit.recipe import SECTIONS_APART, Part, Recipe
from sslkit.registry import BUILT_IN, registry_of
from sslkit.signals import StopRequest, stop_request
from sslkit.train import Scalars, train

OpenImages = Callable[[str], Images]


class Facts(NamedTuple):
    """What follows from a recipe and the number of its images."""

    num_images: int
    steps_per_epoch: int
    steps: int
    warmup_steps: int
    peak_lr: float


def facts(recipe: Recipe, num_images: int) -> Facts:
    """The derived numbers; DataError if there is not one whole batch."""
    settings = recipe.train
    if num_images < settings.batch_size:
        raise DataError(
            f"train.batch_size: is {settings.batch_size}, and the split {recipe.data.options['split']!r} has {num_images} "
            f"images; an epoch needs at least one whole batch."
        )
    return Facts(
        num_images=num_images,
        steps_per_epoch=num_images // settings.batch_size,
        steps=schedule.num_steps(num_images, batch_size=settings.batch_size, epochs=settings.epochs),
        warmup_steps=schedule.warmup_steps(settings.warmup_epochs, num_images=num_images, batch_size=settings.batch_size),
        peak_lr=schedule.peak_lr(settings.base_lr, batch_size=settings.batch_size, scaling=settings.lr_scaling),
    )


def run(recipe: Recipe, folder: Path, *, report: Reporter, text: str, fresh: bool = False) -> RunFolder:
    """Train a recipe in a run folder, or go on with it, and evaluate the encoder.

    Args:
        recipe: what to do.
        folder: the run folder; an unfinished run of the same recipe in it is continued.
        report: where progress is shown.
        text: the recipe as the user wrote it, kept beside the resolved one.
        fresh: start anew beside a folder that exists.

    Raises:
        UserError: the data, a component or the folder can't be used; raised before anything is written.
        Stopped: somebody asked to stop; all is saved.
    """
    _refuse_ranks()
    target = RunFolder(folder).beside() if fresh else RunFolder(folder)
    same = target.claim(differences=recipe.differences)
    if same and target.read_results()[1]:
        report.say(f"{target.path}: this run is complete. --fresh starts it anew beside it.")
        return target
    with stop_request() as stop:
        work = Run(recipe, target, report=report, stop=stop)
        if not same:
            target.create(recipe=text, resolved=toml.dump(work.resolved(), sections=SECTIONS_APART))
        work.complete()
    return target


def evaluate_run(folder: Path, *, overrides: Sequence[str], report: Reporter) -> list[Result]:
    """Evaluate the encoder of a run folder again, and put the numbers into its results.

    Args:
        folder: a run folder with a trained encoder.
        overrides: `KEY=VALUE` over its resolved recipe; what moves weights can't be changed.
        report: where progress is shown.

    Raises:
        UserError: the folder holds no run, or an override would make it another run.
    """
    target = RunFolder(folder)
    if not target.resolved.exists():
        raise UserError(f"{folder}: is no run folder; it has no resolved.toml.")
    recipe = Recipe.load(target.resolved, overrides)
    if differing := recipe.differences(Recipe.load(target.resolved).to_dict()):
        raise UserError("--set: evaluation can't change what was trained:\n" + "\n".join(f"  {line}" for line in differing))
    trained, transform = encoder.load_encoder(folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with stop_request() as stop:
        evaluator = Evaluator(
            recipe,
            partial(build.images, recipe),
            device=device,
            folder=folder,
            report=report,
            poll=stop.poll,
            workers=workers_of(recipe),
        )
        results = evaluator.baselines(in_channels=transform.channels)
        results += evaluator.trained(trained, torch.nn.Identity(), epoch=recipe.train.epochs, parts=recipe.evaluate)
    before, finished = target.read_results()
    replaced = [(one["encoder"], one["name"], one["epoch"], one["protocol"]) for one in results]
    kept = [one for one in before if (one["encoder"], one["name"], one["epoch"], one["protocol"]) not in replaced]
    target.write_results([*kept, *results], finished=finished)
    return results


def _refuse_ranks() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "torchrun: sslkit trains in one process for now, and several would write over each other's run folder. "
            "Start it without torchrun."
        )


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
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = _precision(recipe, self.device, report)
        workers = workers_of(recipe)
        opener = open_images or partial(build.images, recipe)
        images = limited(opener(recipe.data.options["split"]), recipe.data.options["limit"], seed=recipe.train.seed)
        self.channels = images.channels
        self.facts = facts(recipe, len(images))
        if images.labels is None and build.needs_labels(recipe):
            raise DataError(
                f"loss: {recipe.loss.name!r} needs labels, and the split {recipe.data.options['split']!r} has none."
            )
        self.evaluator = Evaluator(
            recipe, opener, device=self.device, folder=folder.path, report=report, poll=stop.poll, workers=workers
        )
        plan = Plan(len(images), recipe.train.batch_size, recipe.train.seed)
        self.loader = Loader(images, [build.view(view) for view in recipe.views], plan=plan, workers=workers)
        self.method = build.method(recipe, in_channels=images.channels).to(self.device)
        self.optimizer = build.optimizer(recipe, self.method, lr=self.facts.peak_lr)
        self.results: list[Result] = []
        self.watch = Stopwatch(recipe.train.batch_size)

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default, and in `[resolved]` every number derived and every version."""
        derived = {
            **self.facts._asdict(),
            "precision": self.precision,
            "recipe": self.recipe.digest(),
            "versions": versions(self.recipe),
        }
        return {**self.recipe.to_dict(), "resolved": derived}

    def complete(self) -> None:
        """Resume or start, train to the end, evaluate, and write down the results."""
        self.folder.probe()
        start = self._resume()
        self.trackers = [build.part(part, folder=self.folder.path) for part in self.recipe.track]
        try:
            self._evaluate_due(start)
            self._train(start)
            self._finish()
        except Stopped:
            raise Stopped(f"stopped, and saved in {self.folder.path}. The same command goes on from there.") from None
        finally:
            for tracker in self.trackers:
                tracker.close()

    def _resume(self) -> int:
        """Steps done already, with everything put back as it was then."""
        found, refused = checkpoint.newest(self.folder.checkpoints)
        for error in refused:
            self.report.say(f"{error} The one before it is used.")
        if found is None and refused:
            raise refused[0]
        step = 0
        if found is not None:
            checkpoint.restore(found, self.method, self.optimizer)
            step = int(found.facts["step"])
            self.report.say(f"{self.folder.path}: goes on after step {step} of {self.facts.steps}")
        for name in ("metrics.jsonl", "timing.jsonl"):
            self.folder.truncate(name, step=step)
        done = step / self.facts.steps_per_epoch
        self.results = [result for result in self.folder.read_results()[0] if result["epoch"] <= done]
        return step

    def _train(self, start: int) -> None:
        if start >= self.facts.steps:
            return
        settings = self.recipe.train
        steps, warmup, peak = self.facts.steps, self.facts.warmup_steps, self.facts.peak_lr
        self.report.training(start=start, steps=steps)
        try:
            train(
                self.method.train(),
                self.optimizer,
                batches=self.watch.timed(self.loader.batches(start, steps)),
                schedule=partial(schedule.lr_at, steps=steps, warmup_steps=warmup, peak=peak),
                steps=steps,
                backward=partial(gradient.whole, seed=settings.seed, device=self.device, precision=self.precision),
                check=self._check,
                on_step=self._on_step,
                start=start,
            )
        finally:
            self.report.trained()

    def _check(self, step: int, loss: Tensor) -> None:
        if not math.isfinite(loss.item()):
            saved = self.folder.last
            kept = f"The last checkpoint is {saved}." if saved.exists() else "No checkpoint is written yet."
            raise NonFiniteError(
                f"the loss is {loss.item()} at step {step}; nothing was updated with it. {kept} "
                f"A smaller train.base_lr or a longer train.warmup_epochs are the usual remedies."
            )

    def _on_step(self, step: int, loss: Tensor, scalars: Scalars) -> bool:
        """Log, save, evaluate, stop: in this order, so that nothing is lost."""
        self.watch.step()
        epoch, inside = divmod(step, self.facts.steps_per_epoch)
        logged = step % self.recipe.train.log_every == 0 or step == self.facts.steps
        numbers = {"epoch": step / self.facts.steps_per_epoch, "loss": loss.item()}
        if logged:
            lr = self.optimizer.param_groups[0]["lr"] / self.optimizer.param_groups[0].get("lr_scale", 1.0)
            numbers |= {"lr": lr, **{name: value.item() for name, value in scalars.items()}}
            self._log(step, numbers)
        shown = {**numbers, "epoch": math.ceil(numbers["epoch"]), "epochs": self.recipe.train.epochs}
        self.report.step(step, {**shown, "images_per_second": self.watch.images_per_second}, logged=logged)
        last = step == self.facts.steps
        if self.stop or last or (inside == 0 and epoch % self.recipe.train.checkpoint_every_epochs == 0):
            self._save(step, self.folder.last)
        if inside == 0 and epoch % self.recipe.train.keep_every_epochs == 0:
            self._save(step, self.folder.checkpoints / f"epoch_{epoch:04d}.safetensors")
        self.stop.poll()
        if not last:
            self._evaluate_due(step)
        return False

    def _log(self, step: int, numbers: dict[str, float]) -> None:
        self.folder.append("metrics.jsonl", {"step": step, **numbers})
        self.folder.append("timing.jsonl", {"step": step, **self.watch.lap()})
        for tracker in self.trackers:
            tracker(step, numbers)

    def _save(self, step: int, path: Path) -> None:
        tensors = checkpoint.state(self.method, self.optimizer)
        checkpoint.save(path, tensors, {"kind": "checkpoint", "step": step, "recipe": self.recipe.to_dict()})

    def _evaluate_due(self, step: int) -> None:
        """The evaluations on the way, unless they were done before a stop."""
        epoch, inside = divmod(step, self.facts.steps_per_epoch)
        if step in (0, self.facts.steps) or inside or any(result["epoch"] == epoch for result in self.results):
            return
        if parts := self.evaluator.due(epoch):
            self._record(self.evaluator.trained(self.method.backbone, self.method.head, epoch=epoch, parts=parts), step)
            self.watch.restart()

    def _finish(self) -> None:
        facts = {
            "backbone": self.recipe.backbone.to_dict(),
            "channels": self.channels,
            "view": [part.to_dict() for part in self.recipe.evaluation_augmentations],
            "epoch": self.recipe.train.epochs,
            "recipe": self.recipe.digest(),
        }
        encoder.save(self.folder.encoder, self.method.backbone, facts=facts)
        parts: list[Part] = list(self.recipe.evaluate)
        last = self.recipe.train.epochs
        self.results = [result for result in self.results if 0 < result["epoch"] < last]
        results = self.evaluator.baselines(in_channels=self.channels)
        results += self.evaluator.trained(self.method.backbone, self.method.head, epoch=last, parts=parts)
        self._record(results, self.facts.steps)
        self.folder.write_results(self.results, finished=True)

    def _record(self, results: list[Result], step: int) -> None:
        self.results += results
        self.folder.write_results(self.results, finished=False)
        numbers = {result["name"]: result["value"] for result in results if result["encoder"] == "trained"}
        for name, value in numbers.items():
            self.report.say(f"epoch {step // self.facts.steps_per_epoch}: {name} = {value:.4f}")
        for tracker in self.trackers:
            tracker(step, numbers)


def workers_of(recipe: Recipe) -> int:
    """The recipe's workers; "auto" is none without a GPU, where they would take the cores that train."""
    workers = recipe.data.options["workers"]
    if workers != "auto":
        return int(workers)
    return min(8, max(1, (os.cpu_count() or 2) - 1)) if torch.cuda.is_available() else 0


def _precision(recipe: Recipe, device: torch.device, report: Reporter) -> gradient.Precision:
    """The recipe's precision; float32 on a CPU that only emulates bf16."""
    if recipe.train.precision == "bf16" and device.type == "cpu" and not native_bf16():
        report.say(
            "train.precision: this CPU has no bf16 of its own and would be several times slower with it: computing in fp32."
        )
        return "fp32"
    return recipe.train.precision


def native_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself (AVX512-BF16, AMX, or Arm's bf16)."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def versions(recipe: Recipe) -> dict[str, str]:
    """sslkit, Python, torch, and every plugin that supplied a name."""
    parts = [recipe.method, recipe.backbone, recipe.head, recipe.loss, recipe.optimizer, recipe.data]
    parts += [
        *recipe.evaluate,
        *recipe.track,
        *recipe.evaluation_augmentations,
        *(one for view in recipe.views for one in view),
    ]
    found = {"sslkit": sslkit.__version__, "python": platform.python_version(), "torch": torch.__version__}
    for part in parts:
        distribution = registry_of(part.kind).component(part.name).distribution
        if distribution != BUILT_IN:
            name, _, number = distribution.partition(" ")
            found[name] = number
    return found


class Stopwatch:
    """Images a second, and the share of the time that is spent waiting for views."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.images_per_second = 0.0
        self.restart()

    def restart(self) -> None:
        """Leave out what was done since the last step."""
        self._began, self._waited, self._steps = time.perf_counter(), 0.0, 0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; the time they took is remembered."""
        self.restart()
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def step(self) -> None:
        """One more step is done."""
        self._steps += 1
        self.images_per_second = self._steps * self.batch_size / (time.perf_counter() - self._began)

    def lap(self) -> dict[str, float]:
        """The figures since the last lap; begins another."""
        elapsed = time.perf_counter() - self._began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        figures = {
            "images_per_second": round(self._steps * self.batch_size / elapsed, 2),
            "loader_share": round(self._waited / elapsed, 4),
            "peak_memory_mib": round(peak / 2**20, 1),
        }
        self.restart()
        return figures
