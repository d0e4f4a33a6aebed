"""Transfer: how good the encoder of a run is on other data sets, by the protocol of the paper's table 8."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from sslkit import build
from sslkit.datasets.images import metric_of
from sslkit.datasets.stand_in import skipped
from sslkit.errors import DataError
from sslkit.evaluate import Evaluator
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.results import Result
from sslkit.signals import StopRequest, stop_request
from sslkit.toml_writer import inline
from sslkit.trained import Trained, dataset
from sslkit.transfer_file import keep, kept, names_of, source_of
from sslkit.transfer_plan import CROPS, Plan, Row, check_splits, usual_validation


class Column(NamedTuple):
    """One data set: its name, the metric by which it is judged, the number of each row, and all results."""

    name: str
    metric: str
    values: dict[Row, float]
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
        RunFolderError: what earlier transfers left in `transfer.json` can't be read.
    """
    columns: list[Column] = []
    file = folder / "transfer.json"
    named = names_of(data, {one["data"]: one.get("source") for one in kept(file)})
    with stop_request() as stop:
        for name, text in zip(named, data, strict=True):
            report.say(f"transfer to {name}")
            try:
                with stop.at_once():
                    columns.append(_column(folder, name, text, plan=plan, report=report, stop=stop))
            except DataError as error:
                raise DataError(f"--data {text}: {error}") from error
            found = columns[-1]
            keep(file, name, source=source_of(text), metric=found.metric, results=found.results)
    return columns


def _column(folder: Path, name: str, text: str, *, plan: Plan, report: Reporter, stop: StopRequest) -> Column:
    run = Trained.load(folder, [dataset(text)])
    images = cache(partial(build.images, run.recipe))
    check_splits(images, plan)
    run.check_channels(images(plan.train))
    validation, why = (plan.validation, "") if plan.validation is not None else usual_validation(images, plan)
    if validation is None:
        report.say(f"{name}: {why}; a tenth of each class of {plan.train!r} validates")
    sections = plan.sections(validation=validation)
    place = folder / "transfer" / name
    evaluators = []
    for fraction in sorted({CROPS[row] for row in sections}, reverse=True):
        asked = [section for row, section in sections.items() if CROPS[row] == fraction]
        overrides = [dataset(text), _view(run, fraction), f"evaluate={inline(asked)}"]
        recipe = Recipe.load(run.folder.resolved, overrides)
        evaluators.append(Evaluator(recipe, images, folder=place, report=report, poll=stop.poll, digest=run.digest))
    results: list[Result] = []
    for evaluator in evaluators:
        of_trained = [part for part in evaluator.recipe.evaluate if not part.options["baselines"]]
        results += evaluator.trained(run.encoder, run.head, epoch=run.recipe.train.epochs, parts=of_trained)
        results += evaluator.baselines(in_channels=run.transform.channels)
    for line in skipped(split.images for evaluator in evaluators for split in evaluator.splits):
        report.say(line)
    metric = metric_of(images(plan.train))
    return Column(name, metric, {row: _value(results, row, metric) for row in sections}, results)


def _view(run: Trained, fraction: float) -> str:
    """The evaluation view as an override: the paper's crop, and what follows the crop in the run's own, `normalize` perhaps."""
    own = [part.to_dict() for part in run.recipe.evaluation_augmentations[1:]]
    crop = {"name": "center_crop", "size": run.transform.view.size, "fraction": fraction}
    return "evaluation_augmentations=" + inline([crop, *own])


def _value(results: Sequence[Result], row: Row, metric: str) -> float:
    """The number of a row; where all classes are equally large, top-1 is the mean per class."""
    prefix, encoder = ("logistic" if row == "linear" else "finetune_grid"), ("untrained" if row == "random" else "trained")
    found = {one["name"]: one["value"] for one in results if one["encoder"] == encoder}
    own = f"{prefix}_{metric}"
    value: float = found[own if own in found else f"{prefix}_top1"]
    return value
