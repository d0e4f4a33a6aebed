"""Text that wraps where it reads well, for a rich console: a docstring at its items, a row of alternatives between them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text


@dataclass(frozen=True)
class Docstring:
    """A docstring as it was written, where a line is too long for the console filled anew, with the same indentation."""

    text: str

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text("\n".join(_lines(self.text, options.max_width)), no_wrap=True, overflow="ignore")


@dataclass(frozen=True)
class Alternatives:
    """A type or a value, whole on a line if it fits, and else broken behind commas and before each `or`."""

    text: str

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = [""]
        for piece in self._pieces():
            longer = f"{lines[-1]} {piece}".strip()
            if len(longer) > options.max_width and lines[-1]:
                lines.append(piece)
            else:
                lines[-1] = longer
        yield Text("\n".join(lines))

    def __rich_measure__(self, _: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(max(map(len, self._pieces())), len(self.text)).with_maximum(options.max_width)

    def _pieces(self) -> list[str]:
        return re.split(r"(?<=,) | (?=or )", self.text)


def _lines(text: str, width: int) -> Iterator[str]:
    """A docstring's lines, none wider than this; a paragraph that fits stays as it is, a formula for instance."""
    for number, paragraph in enumerate(text.split("\n\n")):
        lines = paragraph.splitlines()
        if number:
            yield ""
        if all(len(line) <= width for line in lines):
            yield from lines
        else:
            for item in _items(lines):
                yield from _filled(item, width)


def _items(lines: Sequence[str]) -> list[list[str]]:
    """The parts of a paragraph that each begin a line: what stands below a heading like `Args:`, the items of a list, or all.

    What is indented is a formula, of which every line begins one.
    """
    if _indentation(lines[0]) >= 4:
        return [[line] for line in lines]
    below = _indentation(lines[1]) if len(lines) > 1 and re.fullmatch(r"[A-Z]\w*:", lines[0]) else None
    items: list[list[str]] = []
    for line in lines:
        if not items or _indentation(line) == below or line.lstrip().startswith("- "):
            items.append([line])
        else:
            items[-1].append(line)
    return items


def _filled(item: Sequence[str], width: int) -> list[str]:
    """An item on as few lines as it takes; those after the first are indented as its second one was, or like a second one."""
    indentation = _indentation(item[0])
    like = indentation + (2 if item[0].lstrip().startswith("- ") else indentation)  # an item below a heading is indented itself
    further = _indentation(item[1]) if len(item) > 1 else like
    return textwrap.wrap(
        " ".join(line.strip() for line in item),
        width,
        initial_indent=" " * indentation,
        subsequent_indent=" " * further,
        break_on_hyphens=False,
    )


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
