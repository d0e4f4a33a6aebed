"""Commands that train an encoder and say how good it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

from sslkit.commands.shared import RecipeName, RunFolder, Set, checked_recipe, console, say
from sslkit.errors import RecipeError, UserError
from sslkit.origin import with_absent
from sslkit.transfer_plan import ROWS, Plan

app = typer.Typer()

_PLANNED = Plan()  # what a transfer does unless it is told otherwise
_ROW_NAMES = " or ".join(", ".join(ROWS).rsplit(", ", 1))


@app.command()
def run(
    recipe: RecipeName,
    *,
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Run folder; runs/NAME by default.")] = None,  # noqa: UP045
    overrides: Set = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew beside a run folder that exists.")] = False,
    fork: Annotated[
        bool, typer.Option("--fork", help="Go on beside a run folder from its newest checkpoint, with a recipe that differs.")
    ] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Go through the whole recipe in minutes, on drawn images.")] = False,
    num_processes: Annotated[
        int, typer.Option("--nproc", metavar="N", min=1, help="Train in N processes on this machine, one a GPU.")
    ] = 1,
) -> int:
    """Train a recipe, or go on with it, and evaluate the encoder."""
    place = output or Path("runs") / Path(recipe).stem
    try:
        path, checked = checked_recipe(recipe, overrides)
    except RecipeError as error:
        raise with_absent(error, place) from error
    if num_processes > 1:
        if smoke:
            raise UserError("--smoke: goes in one process; --nproc does not go with it.")
        from sslkit.commands.processes import in_processes

        given = {"checked": checked, "folder": place, "overrides": overrides or [], "fresh": fresh, "fork": fork}
        return in_processes(num_processes, recipe, **given)
    from sslkit.progress import reporter
    from sslkit.table import results_table

    terminal = console()
    report = reporter(terminal)
    if smoke:
        if output or fresh or fork:
            raise UserError("--smoke: leaves no run folder; -o, --fresh and --fork don't go with it.")
        from sslkit.smoke import smoke as smoke_test

        terminal.print(
            results_table(smoke_test(checked, report=report), title=f"{checked.name}, smoke test: these numbers mean nothing")
        )
        return 0
    from sslkit.run import run as start

    folder = start(checked, place, report=report, text=path.read_text("utf-8"), fresh=fresh, fork=fork)
    if os.environ.get("RANK", "0") == "0":
        results, unreadable = folder.read_results()[0], folder.read_unreadable()
        table = results_table(results, title=checked.name, unreadable=unreadable)
        terminal.print(table if results else "the recipe asks for no number")
        report.say(f"run folder: {folder.path}")
    return 0


@app.command("eval")
def evaluate(
    folder: RunFolder,
    overrides: Set = None,
) -> None:
    """Evaluate the encoder of a run again, perhaps with other evaluations (--set evaluate.0.k=5)."""
    from sslkit import folder as run_folder
    from sslkit.progress import reporter
    from sslkit.reevaluate import evaluate_run
    from sslkit.table import results_table

    terminal = console()
    results = evaluate_run(folder, overrides=overrides or [], report=reporter(terminal))
    unreadable = run_folder.RunFolder(folder).read_unreadable()
    terminal.print(results_table(results, title=str(folder), unreadable=unreadable))


@app.command()
def embed(
    folder: RunFolder,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The file, a .safetensors.")] = Path("features.safetensors"),
    split: Annotated[str, typer.Option(help="Which images.")] = "test",
    layer: Annotated[str, typer.Option(help="h, z, or head.1 for what the head's first layer gives.")] = "h",
    data: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Other images than the run's: a folder, or a dataset as a recipe names it."),
    ] = None,
    overrides: Set = None,
) -> None:
    """Write the features of a run's encoder to a file."""
    import re

    from sslkit.evaluations import LAYER

    if not re.fullmatch(LAYER, layer):
        raise UserError(f"--layer: must be h, z or head.N, is {layer!r}.")
    from sslkit.export import embed_run
    from sslkit.progress import reporter
    from sslkit.trained import Trained, dataset

    run = Trained.load(folder, [*([dataset(data)] if data else []), *(overrides or [])])
    features = embed_run(run, split, layer=layer, into=output, report=reporter(console()))
    say(f"{output}: {len(features.h)} x {features.h.shape[1]}")


@app.command()
def transfer(
    folder: RunFolder,
    *,
    data: Annotated[list[str], typer.Option(help="A folder of images, or a dataset as a recipe names it; may be repeated.")],
    rows: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--row", help=f"{_ROW_NAMES}; may be repeated. By default linear: the others cost days."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each fine-tuning; from random weights twice as many.")] = _PLANNED.steps,
    grid: Annotated[
        int, typer.Option(min=1, help="Learning rates, and weight decays beside 0, to choose from.")
    ] = _PLANNED.grid,
    train: Annotated[str, typer.Option(help="The split that is learnt.")] = _PLANNED.train,
    validation: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The split that settings are chosen on; by default val, or where there is none a tenth of train."),
    ] = _PLANNED.validation,
    test: Annotated[str, typer.Option(help="The split that the numbers are from.")] = _PLANNED.test,
) -> None:
    """Evaluate the encoder of a run on other data sets, as in the paper's table 8."""
    asked = rows or list(_PLANNED.rows)
    for row in asked:
        if row not in ROWS:
            raise UserError(f"--row: must be {_ROW_NAMES}, is {row!r}.")
    from sslkit.progress import reporter
    from sslkit.table import transfer_table
    from sslkit.transfer import transfer as start

    plan = Plan(tuple(dict.fromkeys(asked)), steps, grid, train, validation, test)  # type: ignore[arg-type]
    terminal = console()
    columns = start(folder, data, plan=plan, report=reporter(terminal))
    terminal.print(transfer_table(columns, title=str(folder)))


@app.command()
def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Two run folders or more; each is compared with the first.")
    ],
    metrics: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--metric", metavar="NAME", help="Only this number, e.g. knn_top1; may be repeated."),
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="A column for each run; else runs that differ only in their seed share one.")
    ] = False,
) -> None:
    """The numbers of several runs side by side, and which differences chance would explain."""
    from sslkit import side_by_side
    from sslkit.compare import compare as compared
    from sslkit.comparison_table import tables

    columns = side_by_side.one_each if each else side_by_side.by_recipe
    terminal = console()
    for piece in tables(compared(folders, metrics=metrics or (), columns=columns), width=terminal.width):
        terminal.print(piece)
