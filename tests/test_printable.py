"""Foreign text on a terminal: what does not print is escaped, wherever it comes from, and square brackets are no markup."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from sslkit import toml
from sslkit.printable import printable
from sslkit.progress import Lines
from sslkit.terminal import Terminal
from sslkit.toml_writer import dump

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e\u200b[/bold][link=http://x]:smile:"


@pytest.mark.parametrize("text", ["", "plain", "two\nlines", "ö 日本 │ €", "[red]"])
def test_what_prints_stays(text):
    assert printable(text) == text


def test_what_does_not_print_is_written_as_python_would():
    assert printable("a\x1b[2J\x07\r\t\u202e\udce9\U000e0001") == r"a\x1b[2J\x07\r\t\u202e\udce9\U000e0001"


def drawn(draw):
    terminal = Terminal(width=200)
    terminal.file = io.StringIO()
    draw(terminal)
    return terminal.file.getvalue()


def table(terminal):
    found = Table(HOSTILE, title=HOSTILE, caption=HOSTILE)
    found.add_row(HOSTILE)
    found.add_row(Text(HOSTILE))
    terminal.print(found)


@pytest.mark.parametrize(
    "draw", [table, lambda terminal: terminal.print(HOSTILE), lambda terminal: Lines(terminal).say(HOSTILE)]
)
def test_a_terminal_draws_foreign_text_as_text(draw):
    output = drawn(draw)
    assert not [c for c in output if not c.isprintable() and c != "\n"]
    assert r"\x1b[2J" in output
    assert "[link=http://x]:smile:" in output


def test_the_test_above_can_fail():
    """With rich's own console the codes go through."""
    console = Console(file=io.StringIO(), width=200, markup=False)
    console.print(HOSTILE)
    assert "\x1b" in console.file.getvalue()


def test_what_moves_the_cursor_is_the_terminals_own():
    terminal = Terminal(width=80)
    terminal.file = io.StringIO()
    terminal._force_terminal = True
    with Progress(console=terminal) as progress:
        progress.add_task("work", total=3)
    assert "\x1b[" in terminal.file.getvalue()


def test_a_recipe_is_written_with_what_does_not_print_by_its_number():
    data = {"a": HOSTILE + "\U000e0001\xad"}
    text = dump(data)
    assert text.replace("\n", "").isprintable()
    assert toml.parse(text)[0] == data
