"""Commands about the components that are there."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from sslkit.commands.shared import complain, console

app = typer.Typer()


@app.command("list")
def list_components(
    kind: Annotated[Optional[str], typer.Argument(help="losses, backbones, ...; all kinds without it.")] = None,  # noqa: UP045
) -> None:
    """The components of a kind, and which distribution each comes from."""
    from sslkit.listing import complaints, components_table

    console().print(components_table(kind))
    complain(complaints())


@app.command()
def describe(kind: str, name: str) -> None:
    """What a component does, and its parameters."""
    from sslkit.describe import description

    for part in description(kind, name):
        console().print(part)
