"""What several commands share: arguments, the recipe that they name, and where tables are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from sslkit.printable import printable

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe.")]
RecipeOrRun = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A TOML file, the name of a shipped recipe, or a run folder.")
]
Set = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads this at run time on Python 3.10)
    typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key, e.g. loss.temperature=0.2; may be repeated."),
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


def checked_recipe(name: str, overrides: list[str] | None) -> tuple[Path, Any]:
    """The file that a name stands for, and what it holds."""
    from sslkit.shipped import find

    path = find(name)
    from sslkit.recipe import Recipe

    return path, Recipe.load(path, overrides or [])


def console() -> Any:
    """A terminal as wide as it is, or lines of 120 columns for a file."""
    from sslkit.terminal import Terminal

    return Terminal(width=None if sys.stdout.isatty() else 120)


def complain(sentences: Iterable[str]) -> None:
    """Say what is wrong beside what a command gives."""
    for sentence in sentences:
        say(sentence, err=True)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or several, without what does not print: names in it may be foreign."""
    typer.echo(printable(text), err=err)
