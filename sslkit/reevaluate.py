"""Reevaluate: the numbers of a run folder once more, or other numbers of the same encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from sslkit import build
from sslkit.conditions import changes
from sslkit.datasets.stand_in import complaints_of, skipped
from sslkit.errors import UserError, listed
from sslkit.evaluate import Evaluator
from sslkit.evaluation_checks import check_layers
from sslkit.lock import locked
from sslkit.progress import Reporter
from sslkit.recipe import LOCATIONS, Recipe
from sslkit.results import Result, merged, of_other_images
from sslkit.signals import stop_request
from sslkit.trained import Trained
from sslkit.versions import versions


def evaluate_run(folder: Path, *, overrides: Sequence[str], report: Reporter) -> list[Result]:
    """Evaluate the encoder of a run folder again, and put the numbers into its results.

    Args:
        folder: a run folder with a trained encoder.
        overrides: `KEY=VALUE` over its resolved recipe; what moves weights can't be changed.
        report: where progress is shown.

    Raises:
        CheckpointError: the encoder, or the last checkpoint, is missing or damaged.
        UserError: the folder holds no run, or an override would make it another run, or another process uses it.
    """
    run = Trained.load(folder, overrides)
    recipe, target = run.recipe, run.folder
    differing = recipe.differences(Recipe.load(target.resolved).to_dict())
    if changed := [line for line in differing if not line.startswith(LOCATIONS)]:
        raise UserError("--set: evaluation can't change what was trained:\n" + "\n".join(f"  {line}" for line in changed))
    if sentence := _other_versions(run):
        report.say(f"{target.path}: {sentence}")
    with locked(folder, say=report.say), stop_request() as stop:
        with stop.at_once():
            images = cache(partial(build.images, recipe))
            evaluator = Evaluator(recipe, images, folder=folder, report=report, poll=stop.poll, digest=run.digest)
            check_layers(recipe, run.head)
            results = evaluator.baselines(in_channels=run.transform.channels)
            results += evaluator.trained(
                run.encoder, run.head, epoch=recipe.train.epochs, parts=recipe.evaluate, online=run.online
            )
        seen = [split.images for split in evaluator.splits]
        before, finished = target.read_results()
        if others := of_other_images(before, results):
            names = listed(dict.fromkeys(one["name"] for one in others))
            report.say(f"{target.path}: numbers of other test images are replaced: {names}")
        target.write_results(merged(before, results), finished=finished, unreadable=complaints_of(seen))
    for line in skipped(seen):
        report.say(line)
    return results


def _other_versions(run: Trained) -> str:
    """A sentence if the run was trained with other versions than are installed, else nothing."""
    differing = changes(run.folder.read_resolved().get("resolved", {}), {"versions": versions(run.recipe)})
    if not differing:
        return ""
    name_of = {key: key.removeprefix("versions.") for key in differing}
    before, now = (", ".join(f"{name_of[key]} {both[i]}" for key, both in differing.items()) for i in (0, 1))
    return f"was trained with {before}, and is evaluated with {now}; its numbers may be slightly other than before."
