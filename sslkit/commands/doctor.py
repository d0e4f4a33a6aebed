"""`sslkit doctor`: what this machine is, and whether it can do what a recipe asks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from sslkit.commands.shared import Set, console
from sslkit.errors import UserError

app = typer.Typer()


@app.command()
def doctor(
    recipe: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe; the machine alone without it."),
    ] = None,
    *,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("-o", "--output", help="The run folder that is asked about; runs/NAME by default."),
    ] = None,
    overrides: Set = None,
    num_processes: Annotated[int, typer.Option("--nproc", metavar="N", min=1, help="As of `sslkit run`.")] = 1,
) -> int:
    """What this machine is, and whether it can do what a recipe asks; lines that can be pasted into a bug report."""
    from sslkit.doctor.examination import examination
    from sslkit.doctor.findings import Asked
    from sslkit.doctor.report import section_lines, verdict
    from sslkit.shipped import find

    if recipe is None and (overrides or num_processes > 1):
        raise UserError("sslkit doctor: --set and --nproc go with a recipe; name one.")
    default = Path("runs") if recipe is None else Path("runs") / find(recipe).stem
    asked = Asked(recipe, str(output or default), tuple(overrides or ()), num_processes)
    terminal, findings = console(), []
    for title, found in examination(asked):
        for line in section_lines(title, found, width=terminal.width, encoding=sys.stdout.encoding or "ascii"):
            terminal.print(line, soft_wrap=True, highlight=False)
        findings += found
    typer.echo(verdict(findings))
    return 2 if any(one.state == "error" for one in findings) else 0
