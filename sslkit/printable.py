"""Printable: foreign text made harmless for whatever shows it, a terminal or a page of HTML."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""The text with all that does not print written as Python would: a file's name can't move a cursor or turn a line around.

    Line breaks stay. Letters of any script stay; control characters, half characters and marks that are not seen do not.

    >>> print(printable("a\x1b[31mb"))
    a\x1b[31mb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
