"""Transfer: how good the encoder of a run is on other data sets, by the protocol of the paper's table 8."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sslkit import build, toml
from sslkit.checkpoint import write
from sslkit.datasets.images import Images, metric_of
from sslkit.datasets.origins import num_shared
from sslkit.datasets.stand_in import skipped
from sslkit.errors import DataError, RunFolderError, UnknownSplit
from sslkit.evaluate import Evaluator
from sslkit.progress import Reporter
from sslkit.recipe import Recipe
from sslkit.results import Result, merged
from sslkit.signals import StopRequest, stop_request
from sslkit.toml_writer import inline
from sslkit.trained import Trained, dataset

Row = Literal["linear", "finetune", "random"]

VALIDATION = "val"  # where a data set has it
CROPS: dict[Row, float] = {"linear": 1.0, "finetune": 0.875, "random": 0.875}  # share of the shorter side that is seen


class Plan(NamedTuple):
    """What is done on each data set (arXiv:2002.05709, appendix B.8).

    Args:
        rows: "linear", logistic regression on h; "finetune", with a grid; "random", the same from random weights.
        steps: of each fine-tuning; from random weights twice as many.
        grid: learning rates, and weight decays beside 0, that are tried.
        train: the split that is learnt.
        validation: the split on which settings are chosen; by default `val`, and where there is none, or it shares images with
            one of the others, a tenth of each class of `train`.
        test: the split that the numbers are from.
    """

    rows: tuple[Row, ...] = ("linear",)
    steps: int = 20_000
    grid: int = 7
    train: str = "train"
    validation: str | None = None
    test: str = "test"

    def sections(self, *, validation: str | None) -> dict[Row, dict[str, Any]]:
        """The evaluation of each row, as a recipe has it; settings are chosen on a split, or on held-out images."""
        splits = {"train": self.train, "test": self.test, **({"validation": validation} if validation else {})}
        grid = {"name": "finetune_grid", "num_lrs": self.grid, "num_weight_decays": self.grid, **splits}
        of_random = {"lrs": [1e-3, 1.0], "weight_decays": [1e-5, 10**-1.5], "baselines": ["untrained"]}
        found: dict[Row, dict[str, Any]] = {
            "linear": {"name": "logistic", **splits},
            "finetune": {**grid, "steps": self.steps},
            "random": {**grid, "steps": 2 * self.steps, **of_random},
        }
        return {row: found[row] for row in self.rows}


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
    named = _names(data, {one["data"]: one.get("source") for one in _kept(file)})
    with stop_request() as stop:
        for name, text in zip(named, data, strict=True):
            report.say(f"transfer to {name}")
            try:
                with stop.at_once():
                    columns.append(_column(folder, name, text, plan=plan, report=report, stop=stop))
            except DataError as error:
                raise DataError(f"--data {text}: {error}") from error
            _keep(file, columns[-1], source=_source(text))
    return columns


def _kept(file: Path) -> list[dict[str, Any]]:
    """What earlier transfers of this run found, a record a data set."""
    try:
        content: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        fine = all(isinstance(one["data"], str) and isinstance(one["results"], list) for one in content)
    except (ValueError, TypeError, KeyError):
        fine = False
    if not fine:
        raise RunFolderError(f"{file}: is damaged, so nothing can be added to it. Move it away, or bring back what it was.")
    return content


def _keep(file: Path, column: Column, *, source: str) -> None:
    """Add what was found on a data set to the file; what lies there of others, or of other rows, stays."""
    kept = {one["data"]: one for one in _kept(file)}
    before = kept[column.name]["results"] if column.name in kept else []
    record = {"data": column.name, "source": source, "metric": column.metric, "results": merged(before, column.results)}
    kept[column.name] = record
    write(file, (json.dumps(list(kept.values()), indent=1) + "\n").encode())


def _column(folder: Path, name: str, text: str, *, plan: Plan, report: Reporter, stop: StopRequest) -> Column:
    run = Trained.load(folder, [dataset(text)])
    images = cache(partial(build.images, run.recipe))
    _check_splits(images, plan)
    run.check_channels(images(plan.train))
    validation, why = (plan.validation, "") if plan.validation is not None else _usual_validation(images, plan)
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


def _check_splits(images: Callable[[str], Images], plan: Plan) -> None:
    """Open the splits that were asked for, so that a wrong name is said of the option that has it."""
    for key in ("train", "validation", "test"):
        name = getattr(plan, key)
        try:
            if name is not None:
                images(name)
        except UnknownSplit as error:
            raise UnknownSplit(f"--{key} {name}: {error}") from error


def _usual_validation(images: Callable[[str], Images], plan: Plan) -> tuple[str | None, str]:
    """The split `val`, if it is there and shares no image with the two others; else why not."""
    try:
        found = images(VALIDATION)
    except UnknownSplit:
        return None, f"has no split {VALIDATION!r}"
    for name in (plan.train, plan.test):
        if name == VALIDATION or num_shared(images(name), found):
            return None, f"the split {VALIDATION!r} shares images with {name!r}"
    return VALIDATION, ""


def _table(text: str) -> dict[str, Any]:
    data, _ = toml.parse(f"data = {text}", source="--data")
    return data["data"] if isinstance(data["data"], dict) else {}


def _names(data: Sequence[str], taken: Mapping[str, str | None]) -> list[str]:
    """A name a data set: its folder's or its own, with a number where another data set has that; `taken` are name -> source."""
    sources = dict(taken)
    names: list[str] = []
    for text in data:
        own = str(_table(text).get("name", "data")) if text.lstrip().startswith("{") else Path(text).resolve().name
        numbered = (f"{own}-{number}" for number in count(2))
        names.append(next(one for one in chain([own], numbered) if sources.setdefault(one, _source(text)) == _source(text)))
    return names


def _source(text: str) -> str:
    """What `--data` names, however it is written."""
    return inline(_table(text)) if text.lstrip().startswith("{") else str(Path(text).resolve())
