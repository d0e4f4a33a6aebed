"""The command that looks at one step of a run again."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from sslkit.commands.shared import RunFolder, console

app = typer.Typer()


@app.command()
def replay(
    folder: RunFolder,
    *,
    step: Annotated[
        Optional[int],  # noqa: UP045 (typer reads this at run time on Python 3.10)
        typer.Option(
            help="Which step, as metrics.jsonl counts; by default where a number was not finite, or after the last checkpoint."
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All images of the batch, and all parameters.")] = False,
) -> None:
    """Repeat one step of a run, and show what its images, layers and gradients were like; nothing is written."""
    from sslkit.progress import reporter
    from sslkit.replay import replay as repeat
    from sslkit.replayed import shown

    terminal = console()
    found = repeat(folder, step=step, report=reporter(terminal))
    for piece in shown(found, everything=everything):
        terminal.print(piece, highlight=False, soft_wrap=isinstance(piece, str))
