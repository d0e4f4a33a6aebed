"""TOML with places: what a document holds, and which line each key stands on.

Python's own reader says what a document holds, but not where, and a hostile document holds it for minutes. So a small scan goes
first: it notes the line of every key and refuses what is too deep or too long, in a time linear in the text. Up to the first
mistake it sees the document as the reader does; what it makes of the rest does not matter, for the reader then refuses it all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any, NoReturn

from sslkit.errors import Problem, RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

KeyPath = tuple[str | int, ...]  # the way to a value: ("augmentations", 0, "name")

MAX_SIZE = 2**18  # characters; a recipe has about a thousand
MOST_BYTES = 4 * MAX_SIZE  # of a file that holds so many
MAX_DEPTH = 32  # keys and indices on the way to a value
MAX_BARE = 100  # characters of a number

HALF = re.compile("[\ud800-\udfff]")  # of a character: UTF-8 has no such thing
_TOKEN = re.compile(  # a text matches without its end too: a failed match would be tried again at each of its quotes
    r"""  \"{3} (?: [^"\\]+ | \\. | "(?!"") )* (?: "{3,5} )?      # two quotes may stand before the three that close
        | '{3} (?: [^']+ | '(?!'') )* (?: '{3,5} )?
        | " (?: [^"\\\n]+ | \\[^\n] )* "?
        | ' [^'\n]* '?
        | [A-Za-z0-9_:+-]+                                      # a bare key, or a piece of a number or date
        | [ \t]+ | \#[^\n]*                                     # skipped
        | .                                                     # punctuation, a line break, or a mistake
    """,
    re.VERBOSE | re.DOTALL,
)

_PLAIN_WORDS = {  # for the beginnings of the reader's messages
    "Cannot overwrite": "this key is already set further up.",
    "Duplicate inline table key": "a key is set twice in this table.",
    "Cannot declare": "this section already stands further up.",
    "Cannot": "what is complete further up can't be added to here.",
    "Invalid value": "a value is missing or is not TOML: text stands in quotes, true and false in lower case.",
    "Expected '='": "a key needs '=' and a value after it.",
    "Expected newline": "nothing but a comment may follow here; each key stands on a line of its own.",
    "Unclosed array": "a list lacks its closing ']', or a comma between two items.",
    "Unclosed inline table": "a table lacks its closing '}', or a comma between two keys.",
    "Illegal character '\\n'": "a text lacks its closing quote.",
    "Found invalid character '\\n'": "a text lacks its closing quote.",
    "Expected \"'": "a text lacks its closing quote.",
    "Unterminated": "a text lacks its closing quote.",
    "Unescaped": r"a backslash is written twice, or in a text with single quotes: 'C:\images'.",
}


def parse(text: str, *, source: str = "recipe") -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Read TOML, and say where everything stands.

    Args:
        text: the document.
        source: its name, with which the place of an error begins.

    Returns:
        The data, and for each key, section and list item the line (from 1) on which it begins. A section begins at its header,
        or, if it has none, where it is first named; a list of sections begins at the first one.

    Raises:
        RecipeError: the text is not TOML, or too large or too deep; its place is `source:line:column` as far as known.
    """
    if len(text) > MAX_SIZE:
        _refuse(source, f"has {len(text):,} characters; at most {MAX_SIZE:,} are read.")
    if text.startswith("\ufeff"):
        _refuse(f"{source}:1:1", "remove the byte-order mark: save the file as UTF-8 without it.")
    if half := HALF.search(text):
        _refuse(f"{source}:{text.count(chr(10), 0, half.start()) + 1}", "a character is broken: save the file as UTF-8.")
    lines = _Scan(text.replace("\r\n", "\n"), source).document()
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, at = str(error).rpartition(" (at ")  # "line 7, column 12)" or "end of document)"
        place = ":".join([source, *(re.findall(r"\d+", at) or [str(text.rstrip().count("\n") + 1)])])
        plain = [words for beginning, words in _PLAIN_WORDS.items() if message.startswith(beginning)]
        raise RecipeError([Problem(place, plain[0] if plain else f"is not TOML: {message[:100]}.")]) from error
    return data, lines


def _refuse(place: str, message: str) -> NoReturn:
    raise RecipeError([Problem(place, message)])


class _Scan:
    """Walks through a document token by token, and notes the line on which each path begins."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self.lengths: dict[KeyPath, int] = {}  # of each list of sections, so far
        self.tokens = _tokens(text)
        self.step()

    def step(self) -> None:
        self.token, self.line = next(self.tokens)

    def skip(self, *tokens: str) -> None:
        while self.token in tokens:
            self.step()

    def note(self, path: KeyPath, line: int) -> None:
        if len(path) > MAX_DEPTH:
            _refuse(f"{self.source}:{line}", f"nested too deep; at most {MAX_DEPTH} levels are read.")
        self.lines.setdefault(path, line)

    def document(self) -> dict[KeyPath, int]:
        section: KeyPath = ()
        while self.token:
            if self.token == "[":
                section = self.header()
            elif self.token != "\n":
                self.pair(section)
            self.skip("\n")
        return self.lines

    def header(self) -> KeyPath:
        line = self.line
        path: KeyPath = ()
        self.step()
        is_list = self.token == "["
        self.skip("[")
        for key in self.keys():
            if path in self.lengths:
                path += (self.lengths[path] - 1,)  # a list stands for its last section
            path += (key,)
            self.note(path, line)
        self.skip("]")
        if not is_list:
            self.lines[path] = line  # rather than that of a section inside it
            return path
        index = self.lengths.get(path, 0)
        self.lengths[path] = index + 1
        self.note((*path, index), line)
        return (*path, index)

    def keys(self) -> Iterator[str]:
        yield _unquoted(self.token)
        self.step()
        while self.token == ".":
            self.step()
            yield _unquoted(self.token)
            self.step()

    def pair(self, path: KeyPath) -> None:
        line = self.line
        for key in self.keys():
            path += (key,)
            self.note(path, line)
        self.skip("=")
        self.value(path)

    def value(self, path: KeyPath) -> None:
        opening = self.token
        if len(opening) > MAX_BARE and opening[0] not in "\"'":
            _refuse(f"{self.source}:{self.line}", f"a number has more than {MAX_BARE} characters, or a text no quotes.")
        self.step()
        if opening in ("[", "{"):
            self.items(path, opening=opening)
        while self.token not in ("\n", ",", "]", "}", ""):  # the rest of a number or date
            self.step()

    def items(self, path: KeyPath, *, opening: str) -> None:
        self.skip("\n")
        for index in count():
            if self.token in ("]", "}", ""):
                break
            if opening == "{":
                self.pair(path)
            else:
                self.note((*path, index), self.line)
                self.value((*path, index))
            self.skip("\n", ",")
        self.step()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    """Each token and its line; at the end empty ones."""
    line = 1
    for match in _TOKEN.finditer(text):
        if match[0][0] not in " \t#":
            yield match[0], line
        line += match[0].count("\n")
    while True:
        yield "", line


def _unquoted(key: str) -> str:
    if key[:1] not in ("'", '"'):
        return key
    try:
        return str(tomllib.loads(f"key = {key}")["key"])
    except tomllib.TOMLDecodeError:  # then the document is refused for it, with the right place
        return key
