"""Commands about recipes: what is wrong, what follows, what the network will see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from sslkit.commands.shared import RecipeName, RecipeOrRun, Set, checked_recipe, console, say
from sslkit.errors import UserError

app = typer.Typer()


@app.command()
def check(recipe: RecipeName, overrides: Set = None) -> None:
    """Say everything that is wrong with a recipe."""
    path, checked = checked_recipe(recipe, overrides)
    from sslkit import build

    build.check(checked)
    say(f"{path}: nothing wrong; recipe {checked.digest()}")


@app.command()
def show(recipe: RecipeOrRun, overrides: Set = None) -> None:
    """The resolved recipe and what follows from it: steps, peak lr, parameters, memory. Of a run folder also its numbers."""
    folder = Path(recipe)
    is_run = (folder / "resolved.toml").is_file()
    _, checked = checked_recipe(str(folder / "resolved.toml") if is_run else recipe, overrides)
    from sslkit.show import derived

    say(checked.to_toml())
    for line in derived(checked):
        say(f"# {line}")
    if is_run:
        from sslkit.folder import RunFolder
        from sslkit.table import results_table

        results, finished = RunFolder(folder).read_results()
        title = f"{folder}{'' if finished else ', not finished'}"
        table = results_table(results, title=title, unreadable=RunFolder(folder).read_unreadable())
        console().print(table if results else f"{title}: no numbers yet")


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
    _, checked = checked_recipe(recipe, overrides)
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
    say(f"{output}: {picture.width} x {picture.height} pixels")


@app.command()
def recipes() -> None:
    """The recipes that sslkit brings; `sslkit run NAME` finds them."""
    from rich.table import Table

    from sslkit.shipped import shipped, title

    table = Table("name", "what it is")
    for name, path in shipped().items():
        table.add_row(name, title(path))
    console().print(table)


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
    say(f"{file}: a copy of {name}")


@app.command()
def schema() -> None:
    """The JSON Schema of recipes, with the parameters of every installed plugin."""
    import json

    from sslkit.schema import recipe_schema

    say(json.dumps(recipe_schema(), indent=1))
