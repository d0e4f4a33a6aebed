"""The command line: its commands put together, and what becomes of an error."""

from __future__ import annotations

import sys
from traceback import print_exc
from typing import Annotated

import typer

from sslkit.commands import components, doctor, plugins, recipes, replay, runs
from sslkit.errors import LACKING, ResourceError, SslkitError
from sslkit.printable import printable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Self-supervised learning from recipes, with numbers to trust.",
)

for part in (runs, replay, recipes, components, plugins, doctor):
    app.add_typer(part.app)


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
        status = ResourceError.exit_status if error.errno in LACKING else 1
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}", status)
    except Exception as error:
        _refused(error)
        raise
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    if message:
        typer.echo(printable(message), err=True)
    sys.exit(status)


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
