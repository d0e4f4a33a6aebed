"""Commands about the components that are there, and the packages they come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Optional

import typer

from sslkit.commands.shared import console

app = typer.Typer()


@app.command("list")
def list_components(
    kind: Annotated[Optional[str], typer.Argument(help="losses, backbones, ...; all kinds without it.")] = None,  # noqa: UP045
) -> None:
    """The components of a kind, and which distribution each comes from."""
    from sslkit.listing import complaints, components_table

    console().print(components_table(kind))
    _complain(complaints())


@app.command()
def plugins() -> None:
    """Installed packages that offer components, and those whose metadata can't be read."""
    from sslkit.listing import complaints, offers_table

    table = offers_table()
    console().print(table if table.row_count else "no installed package offers a component")
    _complain(complaints())


@app.command()
def describe(kind: str, name: str) -> None:
    """What a component does, and its parameters."""
    from sslkit.describe import description

    for part in description(kind, name):
        console().print(part)


def _complain(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        typer.echo(sentence, err=True)
