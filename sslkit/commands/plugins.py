"""Commands about packages that bring components: what is installed, whether it can be used, and how a new one begins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sslkit.commands.shared import complain, console, say

app = typer.Typer()


@app.command()
def plugins(
    verify: Annotated[bool, typer.Option("--verify", help="Import each component, and hold it against its contract.")] = False,
) -> int:
    """Installed packages that offer components, and those whose metadata can't be read."""
    from sslkit.listing import complaints, offers_table, verified_table

    table, failures = verified_table() if verify else (offers_table(), 0)
    console().print(table if table.row_count else "no installed package offers a component")
    sentences = list(complaints())
    complain(sentences)
    return 2 if verify and (failures or sentences) else 0


@app.command("new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the component is called; the package is sslkit-NAME.")],
    kind: Annotated[str, typer.Option("--kind", help="losses, backbones, heads, methods, augmentations, ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder in which the package's own is made.")] = Path(),
) -> None:
    """Write a package with one component of your own: its module, a recipe that runs, its tests."""
    from sslkit.new_plugin.files import write_package

    files = write_package(name, kind=kind, place=output)
    folder = output / files[0].relative_to(output).parts[0]
    for file in files:
        say(str(file))
    say(f'\nNext: cd {folder} && pip install -e ".[test]" && pytest')
