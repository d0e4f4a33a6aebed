"""Terminal: a console of rich on which foreign text is only text, whatever a file, a plugin or a recipe is called."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sslkit.printable import printable


class Terminal(Console):
    """Text in it is escaped as it is drawn, so no table and no line can forget to; and square brackets are no markup."""

    def __init__(self, *, width: int | None = None, quiet: bool = False) -> None:
        super().__init__(width=width, quiet=quiet, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of text that are drawn; what moves the cursor is the console's own, and stays."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)
