"""Terminal: whether what sslkit prints and writes can be read."""

from __future__ import annotations

import codecs
import locale
import sys
from collections.abc import Iterator

from sslkit.doctor.findings import Asked, Finding, ok, warning


def encoding(_: Asked) -> Iterator[Finding]:
    """Of what is printed, of files, and of their names."""
    found = {
        "output": sys.stdout.encoding or "none",
        "files": locale.getpreferredencoding(False),
        "file names": sys.getfilesystemencoding(),
    }
    text = ", ".join(f"{what} {name}" for what, name in found.items())
    if all(_is_utf8(name) for name in found.values()):
        yield ok("encoding", text)
    else:
        advice = "Names outside of ASCII are not shown as they are, or not found: set PYTHONUTF8=1, or LANG=C.UTF-8."
        yield warning("encoding", text, advice)


def _is_utf8(name: str) -> bool:
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError:
        return False
