"""Transfer: how good the encoder of a run is on other data sets, by the protocol of the paper's table 8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from sslkit import build
from sslkit.datasets.images import Images, metric_of
from sslkit.datasets.stand_in import skipped
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.folder import existing
from sslkit.lock import locked
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.results import Result
from sslkit.signals import StopRequest, stop_request
from sslkit.toml_writer import inline
from sslkit.trained import Trained, dataset
from sslkit.transfer_file import keep, kept, names_of, source_of
from sslkit.transfer_plan import ROWS, Plan, RowName
from sslkit.transfer_splits import require_splits, usual_validation

_FILE = "transfer.json"


class Column(NamedTuple):
    """One data set: its name, the metric by which it is judged, the number of each row, and all results."""

    name: str
    metric: str
    values: dict[RowName, float]
    results: list[Result]


def transfer(folder: Path, data: Sequence[str], *, plan: Plan, report: Reporter) -> list[Column]:
    """Evaluate the encoder of a run on data sets, and keep all that was found in `transfer.json` of its folder.

    Images are seen as in the paper (arXiv:2002.05709, appendix B.8): for "linear" the shorter side is resized to that of the
    encoder's view, 224 pixels there, and the centre cut out. Fine-tuned networks see test images as ImageNet's are seen: the
    shorter side resized to 8/7 of it, 256 pixels there, and the centre of 224 cut out.

    Args:
        folder: a finished run.
        data: each a folder of images, or a dataset as a recipe names it.
        plan: what is done.
        report: where progress is shown.

    Raises:
        DataError: a data set is not there, or has too few images or labels, or images of another number of channels than the
            encoder takes; what came before it is kept.
        RunFolderError: another process uses the folder, or what earlier transfers left in `transfer.json` can't be read.
        UserError: the folder holds no run.
    """
    existing(folder)
    with locked(folder, say=report.say), stop_request() as stop:
        named = names_of(data, {one["data"]: one.get("source") for one in kept(folder / _FILE)})
        columns: list[Column] = []
        for name, text in zip(named, data, strict=True):
            report.say(f"transfer to {name}")
            try:
                columns.append(_column(folder, name, text, plan=plan, report=report, stop=stop))
            except DataError as error:
                raise DataError(f"--data {text}: {error}") from error
    return columns


def _column(folder: Path, name: str, text: str, *, plan: Plan, report: Reporter, stop: StopRequest) -> Column:
    """One data set; what a row found is kept before the next one begins, which may take days."""
    with stop.at_once():
        run = Trained.load(folder, [dataset(text)])
        images = cache(partial(build.images, run.recipe))
        evaluators = _evaluators(run, name, text, images=images, plan=plan, report=report, stop=stop)
    metric = metric_of(images(plan.train))
    results: list[Result] = []
    for row, evaluator in evaluators.items():
        with stop.at_once():
            found = _found(run, evaluator, row)
        keep(folder / _FILE, name, source=source_of(text), metric=metric, results=found)
        results += found
    for line in skipped(split.images for evaluator in evaluators.values() for split in evaluator.splits):
        report.say(line)
    return Column(name, metric, {row: _value(results, row, metric) for row in evaluators}, results)


def _evaluators(
    run: Trained,
    name: str,
    text: str,
    *,
    images: Callable[[str], Images],
    plan: Plan,
    report: Reporter,
    stop: StopRequest,
) -> dict[RowName, Evaluator]:
    """What evaluates each row, all of them opened and checked before the first begins."""
    require_splits(images, plan)
    run.check_channels(images(plan.train))
    validation, why = (plan.validation, "") if plan.validation is not None else usual_validation(images, plan)
    if validation is None:
        report.say(f"{name}: {why}; a tenth of each class of {plan.train!r} validates")
    place = run.folder.path / "transfer" / name
    evaluators: dict[RowName, Evaluator] = {}
    for row, section in plan.sections(validation=validation).items():
        overrides = [dataset(text), _view(run, ROWS[row].crop), f"evaluate={inline([section])}"]
        recipe = Recipe.load(run.folder.resolved, overrides)
        try:
            evaluators[row] = Evaluator(recipe, images, folder=place, report=report, poll=stop.poll, digest=run.digest)
        except DataError as error:  # it speaks of a section that no user wrote
            sentence = str(error).removeprefix(f"evaluate.0 ({ROWS[row].evaluation}): ")
            raise DataError(f"--row {row}: {sentence}") from error
    return evaluators


def _found(run: Trained, evaluator: Evaluator, row: RowName) -> list[Result]:
    """The results of a row, of the encoder that it is about."""
    if ROWS[row].encoder == "untrained":
        return evaluator.baselines(in_channels=run.transform.channels)
    epochs, parts = run.recipe.train.epochs, evaluator.recipe.evaluate
    return evaluator.trained(run.encoder, run.head, epoch=epochs, parts=parts)


def _view(run: Trained, fraction: float) -> str:
    """The evaluation view as an override: the paper's crop, and what follows the crop in the run's own, `normalize` perhaps."""
    own = [part.to_dict() for part in run.recipe.evaluation_augmentations[1:]]
    crop = {"name": "center_crop", "size": run.transform.view.size, "fraction": fraction}
    return "evaluation_augmentations=" + inline([crop, *own])


def _value(results: Sequence[Result], row: RowName, metric: str) -> float:
    """The number of a row; where all classes are equally large, top-1 is the mean per class."""
    evaluation, encoder, _ = ROWS[row]
    found = {one["name"]: one["value"] for one in results if one["encoder"] == encoder}
    own = f"{evaluation}_{metric}"
    value: float = found[own if own in found else f"{evaluation}_top1"]
    return value
