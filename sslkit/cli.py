"""The commands; torch and all that needs it are imported only when a command runs something."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from traceback import print_exc
from typing import Annotated, Any, Optional

import typer

from sslkit.errors import SslkitError, UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Self-supervised learning from recipes, with numbers to trust.",
)

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe.")]
Set = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads this at run time on Python 3.10)
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, e.g. loss.temperature=0.2; may be repeated."),
]


def main() -> None:
    """Run the command line; what sslkit raises on purpose is one message, without a traceback."""
    traceback = "--traceback" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--traceback"]
    try:
        status = app(args=arguments, standalone_mode=False)
    except SslkitError as error:
        if traceback:
            print_exc()
        _fail(str(error), error.exit_status)
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except OSError as error:
        if traceback:
            raise
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except Exception as error:
        _refused(error)
        raise
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    printable = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message)
    typer.echo(printable, err=True)
    sys.exit(status)


def _complain(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        typer.echo(sentence, err=True)


def _refused(error: Exception) -> None:
    """What the command line itself can't read: an unknown option, a missing argument."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        sys.exit(2)


def _version(asked: bool) -> None:
    if asked:
        from sslkit import __version__

        typer.echo(f"sslkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Self-supervised learning from recipes, with numbers to trust."""


@app.command()
def run(
    recipe: RecipeName,
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Run folder; runs/NAME by default.")] = None,  # noqa: UP045
    overrides: Set = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew beside a run folder that exists.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Go through the whole recipe in minutes, on drawn images.")] = False,
) -> None:
    """Train a recipe, or go on with it, and evaluate the encoder."""
    path, checked = _recipe(recipe, overrides)
    from sslkit.progress import reporter
    from sslkit.table import results_table

    console = _console()
    report = reporter(console)
    if smoke:
        if output or fresh:
            raise UserError("--smoke: leaves no run folder; -o and --fresh don't go with it.")
        from sslkit.smoke import smoke as smoke_test

        console.print(
            results_table(smoke_test(checked, report=report), title=f"{checked.name}, smoke test: these numbers mean nothing")
        )
        return
    from sslkit.run import run as start

    folder = start(checked, output or Path("runs") / checked.name, report=report, text=path.read_text("utf-8"), fresh=fresh)
    results = folder.read_results()[0]
    console.print(results_table(results, title=checked.name) if results else "the recipe asks for no number")
    report.say(f"run folder: {folder.path}")


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    overrides: Set = None,
) -> None:
    """Evaluate the encoder of a run again, perhaps with other evaluations (--set evaluate.0.k=5)."""
    from sslkit.progress import reporter
    from sslkit.reevaluate import evaluate_run
    from sslkit.table import results_table

    console = _console()
    results = evaluate_run(folder, overrides=overrides or [], report=reporter(console))
    console.print(results_table(results, title=str(folder)))


@app.command()
def embed(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
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

    if not re.fullmatch(r"h|z|head\.[1-9][0-9]*", layer):
        raise UserError(f"--layer: must be h, z or head.N, is {layer!r}.")
    from sslkit.export import embed_run
    from sslkit.progress import reporter
    from sslkit.trained import Trained, dataset

    run = Trained.load(folder, [*([dataset(data)] if data else []), *(overrides or [])])
    features = embed_run(run, split, layer=layer, into=output, report=reporter(_console()))
    typer.echo(f"{output}: {len(features.h)} x {features.h.shape[1]}")


@app.command()
def transfer(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    *,
    data: Annotated[list[str], typer.Option(help="A folder of images, or a dataset as a recipe names it; may be repeated.")],
    rows: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--row", help="linear, finetune or random; may be repeated. By default linear: the others cost days."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each fine-tuning; from random weights twice as many.")] = 20_000,
    grid: Annotated[int, typer.Option(min=1, help="Learning rates, and weight decays beside 0, to choose from.")] = 7,
    train: Annotated[str, typer.Option(help="The split that is learnt.")] = "train",
    validation: Annotated[str, typer.Option(help="The split that settings are chosen on.")] = "val",
    test: Annotated[str, typer.Option(help="The split that the numbers are from.")] = "test",
) -> None:
    """Evaluate the encoder of a run on other data sets, as in the paper's table 8."""
    asked = rows or ["linear"]
    for row in asked:
        if row not in ("linear", "finetune", "random"):
            raise UserError(f"--row: must be linear, finetune or random, is {row!r}.")
    from sslkit.progress import reporter
    from sslkit.table import transfer_table
    from sslkit.transfer import Plan
    from sslkit.transfer import transfer as start

    plan = Plan(tuple(dict.fromkeys(asked)), steps, grid, train, validation, test)  # type: ignore[arg-type]
    console = _console()
    columns = start(folder, data, plan=plan, report=reporter(console))
    console.print(transfer_table(columns, title=str(folder)))


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
    console = _console()
    for piece in tables(compared(folders, metrics=metrics or (), columns=columns), width=console.width):
        console.print(piece)


@app.command()
def check(recipe: RecipeName, overrides: Set = None) -> None:
    """Say everything that is wrong with a recipe."""
    path, checked = _recipe(recipe, overrides)
    from sslkit import build

    build.check(checked)
    typer.echo(f"{path}: nothing wrong; recipe {checked.digest()}")


@app.command()
def show(recipe: RecipeName, overrides: Set = None) -> None:
    """The resolved recipe and what follows from it: steps, peak lr, parameters, memory."""
    from sslkit.show import derived

    _, checked = _recipe(recipe, overrides)
    typer.echo(checked.to_toml())
    for line in derived(checked):
        typer.echo(f"# {line}")


@app.command()
def views(
    recipe: RecipeName,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture, a PNG file.")] = Path("views.png"),
    samples: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--sample", help="The number of an image; may be repeated. A few of all by default."),
    ] = None,
    epoch: Annotated[int, typer.Option(min=0, help="The epoch whose views are shown; 0 is the first.")] = 0,
    compare: Annotated[bool, typer.Option("--compare", help="A row an operation, each alone under several draws.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Drawn images instead of the recipe's.")] = False,
    overrides: Set = None,
) -> None:
    """Draw the views that a recipe makes of its images, to the bit those of training."""
    _, checked = _recipe(recipe, overrides)
    if output.suffix.lower() != ".png":
        raise UserError(f"--output: must end in .png, is {str(output)!r}.")
    if compare and samples and len(samples) > 1:
        raise UserError("--sample: with --compare, one image is shown; give one.")
    from functools import partial

    from sslkit import build, drawn, sheet

    opener = drawn.images(checked, number=50) if smoke else partial(build.images, checked)
    images = build.training_images(checked, opener)
    if compare:
        picture = sheet.comparison(checked, images, sample=(samples or [0])[0], epoch=epoch)
    else:
        picture = sheet.sheet(checked, images, samples=samples or (), epoch=epoch)
    picture.save(output)
    typer.echo(f"{output}: {picture.width} x {picture.height} pixels")


@app.command("list")
def list_components(
    kind: Annotated[Optional[str], typer.Argument(help="losses, backbones, ...; all kinds without it.")] = None,  # noqa: UP045
) -> None:
    """The components of a kind, and which distribution each comes from."""
    from sslkit.listing import complaints, components_table

    _console().print(components_table(kind))
    _complain(complaints())


@app.command()
def plugins() -> None:
    """Installed packages that offer components, and those whose metadata can't be read."""
    from sslkit.listing import complaints, offers_table

    table = offers_table()
    _console().print(table if table.row_count else "no installed package offers a component")
    _complain(complaints())


@app.command()
def describe(kind: str, name: str) -> None:
    """What a component does, and its parameters."""
    from sslkit.describe import description

    for part in description(kind, name):
        _console().print(part)


@app.command()
def schema() -> None:
    """The JSON Schema of recipes, with the parameters of every installed plugin."""
    import json

    from sslkit.schema import recipe_schema

    typer.echo(json.dumps(recipe_schema(), indent=1))


@app.command()
def recipes() -> None:
    """The recipes that sslkit brings; `sslkit run NAME` finds them."""
    from rich.table import Table

    from sslkit.shipped import shipped, title

    table = Table("name", "what it is")
    for name, path in shipped().items():
        table.add_row(name, title(path))
    _console().print(table)


@app.command()
def copy(name: str, file: Path) -> None:
    """Copy a shipped recipe to a file of your own."""
    from sslkit.shipped import find

    if file.exists():
        raise UserError(f"{file}: exists already; nothing was copied.")
    text = find(name).read_text(encoding="utf-8")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: can't be written: {error.strerror}.") from None
    typer.echo(f"{file}: a copy of {name}")


def _recipe(name: str, overrides: list[str] | None) -> tuple[Path, Any]:
    from sslkit.shipped import find

    path = find(name)
    from sslkit.recipe import Recipe

    return path, Recipe.load(path, overrides or [])


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)
