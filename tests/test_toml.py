"""TOML with places: lines against documents written together with their truth, and data that survives being written."""

import datetime
import math
import pathlib
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sslkit.errors import RecipeError
from sslkit.toml import MAX_DEPTH, MAX_SIZE, KeyPath, parse
from sslkit.toml_writer import WIDTH, dump

RECIPE = '''\
# a recipe
loss = { name = "nt_xent", temperature = 0.1 }

augmentations = [  # [not, a, list]
  { name = "random_resized_crop", area = [0.08,
      1.0] },

  { name = "horizontal_flip" }, ]
[data]
"root" . 'a.b' = """
[not.a.section]
"""
[[evaluate]]
k = 200
[evaluate.more]
day = 1979-05-27 07:32:00.5Z
[[evaluate]]
k = 2_0
'''

LINES: dict[KeyPath, int] = {
    ("loss",): 2,
    ("loss", "name"): 2,
    ("loss", "temperature"): 2,
    ("augmentations",): 4,
    ("augmentations", 0): 5,
    ("augmentations", 0, "name"): 5,
    ("augmentations", 0, "area"): 5,
    ("augmentations", 0, "area", 0): 5,
    ("augmentations", 0, "area", 1): 6,
    ("augmentations", 1): 8,
    ("augmentations", 1, "name"): 8,
    ("data",): 9,
    ("data", "root"): 10,
    ("data", "root", "a.b"): 10,
    ("evaluate",): 13,
    ("evaluate", 0): 13,
    ("evaluate", 0, "k"): 14,
    ("evaluate", 0, "more"): 15,
    ("evaluate", 0, "more", "day"): 16,
    ("evaluate", 1): 17,
    ("evaluate", 1, "k"): 18,
}


def paths(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Every path that leads to something inside a value."""
    items = value.items() if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return {(*path, key) for key, _ in items}.union(*(paths(each, (*path, key)) for key, each in items))


class Document:
    """A random document, written from left to right together with its data and the line of everything in it."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.text = ""
        self.data: dict[str, Any] = {}
        self.lines: dict[KeyPath, int] = {}
        self.names = 0

    def __repr__(self) -> str:
        return f"{self.text!r}, {self.lines}"

    def write(self, *texts: str) -> None:
        self.text += self.draw(st.sampled_from(texts))

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def name(self) -> str:
        """A key that was never used, as TOML reads it, and written in one of four ways."""
        self.names += 1
        key, written = self.draw(
            st.sampled_from(
                [
                    (f"k{self.names}", f"k{self.names}"),
                    (f"{self.names}", f"{self.names}"),
                    (f"a.'= {self.names}", f'"a.\'= {self.names}"'),
                    (f'é "{self.names}', f'"\\u00e9 \\"{self.names}"'),
                    (f"[#\\{self.names}", f"'[#\\{self.names}'"),
                ]
            )
        )
        self.text += written
        return str(key)

    def sections(self) -> None:
        self.pairs((), self.data)
        for _ in range(self.draw(st.integers(0, 4))):
            self.section((), self.data, prefix="", depth=0)

    def section(self, path: KeyPath, table: dict[str, Any], *, prefix: str, depth: int) -> None:
        """`[a]`, `[a.b]` or two of `[[a]]`, with its own sections inside."""
        brackets, ends = self.draw(st.sampled_from([("[", "]"), ("[[", "]]")]))
        start = len(self.text)
        key = self.name()
        written, self.text = self.text[start:], self.text[:start]
        for index in range(1 if brackets == "[" else 2):
            self.blank_lines()
            here: KeyPath = (*path, key)
            self.note(here)
            inner: dict[str, Any] = {}
            if brackets == "[":
                table[key] = inner
            else:
                here = (*here, index)
                self.note(here)
                table.setdefault(key, []).append(inner)
            self.text += f"{brackets} {prefix}{written}{ends}"
            self.end_line()
            self.pairs(here, inner)
            if depth < 2 and self.draw(st.booleans()):
                self.section(here, inner, prefix=f"{prefix}{written} . ", depth=depth + 1)

    def pairs(self, path: KeyPath, table: dict[str, Any]) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.blank_lines()
            self.pair(path, table, depth=0)
            self.end_line()

    def blank_lines(self) -> None:
        self.write("", "\n", "  ", "# [x] = \"''' { \n", "\t\n\n")

    def end_line(self) -> None:
        self.write("\n", '  # """ \' [ {\n')

    def pair(self, path: KeyPath, table: dict[str, Any], *, depth: int) -> None:
        for dotted in range(self.draw(st.integers(1, 3)), 0, -1):
            here = len(self.text)
            key = self.name()
            path = (*path, key)
            self.lines.setdefault(path, self.text.count("\n", 0, here) + 1)
            if dotted > 1:
                table[key] = table = {}
                self.write(".", " .\t")
        self.write("=", " = ")
        table[key] = self.value(path, depth=depth)

    def value(self, path: KeyPath, *, depth: int) -> Any:
        kind = self.draw(st.sampled_from(["scalar", "list", "table"] if depth < 3 else ["scalar"]))
        if kind == "list":
            return self.items(path, depth=depth)
        if kind == "table":
            return self.inline(path, depth=depth)
        value, written = self.draw(
            st.sampled_from(
                [
                    (17, "1_7"),
                    (255, "0xFF"),
                    (-0.25, "-2.5e-1"),
                    (True, "true"),
                    (datetime.date(1979, 5, 27), "1979-05-27"),
                    (datetime.datetime(1979, 5, 27, 7, 32, 0, 500_000), "1979-05-27 07:32:00.5"),
                    ('a]}#,\\ "', r'"a]}#,\\ \""'),
                    ('a\\"=', "'a\\\"='"),
                    ("", '""'),
                    ('x = [ "\n\n""', '"""\nx = [ "\n\n"""""'),
                    ('""""', '"""\\"""\\""""'),
                    ("one", '"""o\\\n\n  ne"""'),
                    ("# '\n'\\''", "'''# '\n'\\'''''"),
                    ("", "''''''"),
                    ("x'", "'''x''''"),
                    ('x"', '"""x""""'),
                ]
            )
        )
        self.text += written
        return value

    def items(self, path: KeyPath, *, depth: int) -> list[Any]:
        self.text += "["
        items = []
        count = self.draw(st.integers(0, 3))
        for index in range(count):
            self.write("", " ", "\n  ", ' # ], "\n\n')
            self.note((*path, index))
            items.append(self.value((*path, index), depth=depth + 1))
            self.write("", "\n", " # '\n")
            self.text += "," if index < count - 1 else ""
        if count:
            self.write("", ",")
        self.write("", "\n", "# ]\n")
        self.text += "]"
        return items

    def inline(self, path: KeyPath, *, depth: int) -> dict[str, Any]:
        self.text += "{"
        table: dict[str, Any] = {}
        for index in range(self.draw(st.integers(0, 3))):
            self.write(*([", ", " ,"] if index else ["", " "]))
            self.pair(path, table, depth=depth + 1)
        self.write("", " ")
        self.text += "}"
        return table


@st.composite
def documents(draw: Any) -> Document:
    document = Document(draw)
    document.sections()
    return document


def test_the_lines_of_a_recipe_counted_by_hand() -> None:
    data, lines = parse(RECIPE)
    assert lines == LINES
    assert data["data"]["root"]["a.b"] == "[not.a.section]\n"


@settings(max_examples=100, deadline=None)
@given(document=documents(), carriage_returns=st.booleans())
def test_lines_are_those_of_documents_written_with_their_truth(document: Document, carriage_returns: bool) -> None:
    text = document.text.replace("\n", "\r\n") if carriage_returns else document.text
    data, lines = parse(text)
    assert data == document.data
    assert lines == document.lines


def test_a_header_is_the_line_of_its_section_even_below_its_inner_ones() -> None:
    assert parse("[a.b]\n\n[a]\n")[1] == {("a",): 3, ("a", "b"): 1}


PIECES = ["a", "b.c", '"d"', "'e'", "=", " = ", "1", "0.5", ",", ".", "[", "]", "[[", "]]", "{", "}", "\n", "\r\n", "\r", " "]
PIECES += [
    '"',
    '"""',
    "'",
    "'''",
    "\\",
    "\\n",
    "#",
    "true",
    "[a]\n",
    "[[a]]\n",
    "[a.b]\n",
    "a = 1\n",
    "b = [1, 2]\n",
    "\0",
    "é",
    "@",
]


def check_data_with_all_its_lines_or_a_recipe_error(text: str) -> None:
    try:
        data, lines = parse(text)
    except RecipeError:
        return
    assert set(lines) == paths(data)


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.lists(st.sampled_from(PIECES)).map("".join), st.text()))
@pytest.mark.fault(
    "any text",
    injected="drawn at random",
    expected="data, or an error of recipes",
    theme="recipe",
)
def test_any_text_gives_data_or_a_recipe_error(text: str) -> None:
    check_data_with_all_its_lines_or_a_recipe_error(text)


@settings(max_examples=100, deadline=None)
@given(document=documents(), place=st.floats(0, 1), piece=st.sampled_from(PIECES))
def test_a_document_with_a_mistake_gives_data_or_a_recipe_error(document: Document, place: float, piece: str) -> None:
    middle = int(place * len(document.text))
    check_data_with_all_its_lines_or_a_recipe_error(document.text[:middle] + piece + document.text[middle + 1 :])


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a = 1\nb = foo\n", "my.toml:2:5", "quotes"),
        ("a = 1\r\nb = foo\n", "my.toml:2:5", "quotes"),
        ("a = 1\na = 2\nb = 3\n", "my.toml:2:6", "already set"),
        ("[a]\nb = 1\n[a]\n", "my.toml:3:3", "already stands"),
        ("a = { b = 1, b = 2 }\n", "my.toml:1:19", "twice"),
        ("a = [1 2]\n", "my.toml:1:8", "comma"),
        ("a = { b = 1 c = 2 }\n", "my.toml:1:13", "comma"),
        ("a = 1 b = 2\n", "my.toml:1:7", "nothing but"),
        ("a b\n", "my.toml:1:3", "'='"),
        ('a = "b\nc = 1\n', "my.toml:1:7", "closing quote"),
        ("a = 'b\nc = 'd'\n", "my.toml:1:7", "closing quote"),
        ("a = 'b\n", "my.toml:1", "closing quote"),
        ('\na = """b\n\n', "my.toml:2", "closing quote"),
        ('a = "C:\\images"\n', "my.toml:1:10", "backslash"),
        ("a = { b = 1 }\na.c = 2\n\n", "my.toml:2:8", "further up"),
        ("\ufeffa = 1\n", "my.toml:1:1", "byte-order mark"),
        ("a = 1\nb = '\ud800'\n", "my.toml:2", "UTF-8"),
        ("a\n= 1", "my.toml:1:2", "'='"),
        ("a = 1\n@\n", "my.toml:2:1", "not TOML"),
    ],
)
@pytest.mark.fault(
    "mistakes of syntax, keys given twice, a byte-order mark",
    injected="one text each",
    expected="line and column, in plain words",
    theme="recipe",
)
def test_a_mistake_is_told_with_its_place_in_plain_words(text: str, place: str, word: str) -> None:
    with pytest.raises(RecipeError, match=word) as caught:
        parse(text, source="my.toml")
    assert [problem.place for problem in caught.value.problems] == [place]


HOSTILE = {
    "a dotted key": ".".join("a" * 50_000) + " = 1",
    "a dotted header": f"[{'.'.join('a' * 50_000)}]",
    "a dotted key in a table": f"x = {{ {'.'.join('a' * 50_000)} = 1 }}",
    "nested lists": "x = " + "[" * 2_000 + "]" * 2_000,
    "nested tables": "x = " + "{ a = " * 2_000 + "1" + "}" * 2_000,
    "an integer": "x = 1" + "0" * 5_000,
    "an integer in a list": "x = [\n 1" + "0" * 5_000 + "]",
    "a hexadecimal": "x = 0x" + "F" * 200_000,
    "size": "#" * (MAX_SIZE + 1),
    "open texts": 'x = """' + '\\"""' * 50_000,
    "quotes": '"' * 200_000,
    "open lists": "x = [\n" * 10_000,
    "a long wrong key": "x = { a = 1, a = 2, " + "b" * 100_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.fault(
    "endless nesting, numbers or sizes",
    injected="generated text",
    expected="one short message",
    theme="recipe",
)
def test_hostile_text_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse(text)
    assert len(str(caught.value)) < 200


def test_the_largest_and_deepest_documents_are_read() -> None:
    assert parse("#" * MAX_SIZE) == ({}, {})
    deepest = ".".join("a" * MAX_DEPTH)
    assert len(parse(f"{deepest} = 1\n")[1]) == MAX_DEPTH
    with pytest.raises(RecipeError, match="too deep"):
        parse(f"{deepest} = [1]\n")
    with pytest.raises(RecipeError, match="too deep"):
        parse(f"[{deepest}]\na = 1\n")


LEAVES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text("\"'\\\n\r\t\b\f\x00\x1f\x7f\x85\u2028\ufeff𐍈 a"),
)
KEYS = st.one_of(st.sampled_from(["name", "a", "b-c"]), st.text(st.characters(exclude_categories=["Cs"])))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.lists(st.dictionaries(KEYS, inner, max_size=3), max_size=3),
    ),
    max_leaves=25,
)


def typed(value: Any) -> Any:
    """The value with the type of every leaf beside it, since 1 == 1.0 == True."""
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    return [typed(each) for each in value] if isinstance(value, list) else (type(value), value)


@settings(max_examples=200, deadline=None)
@given(data=st.dictionaries(KEYS, VALUES, max_size=5), sections=st.sets(KEYS))
def test_what_is_written_is_read_back(data: dict[str, Any], sections: set[str]) -> None:
    text = dump(data, sections=sections)
    again, lines = parse(text)
    assert typed(again) == typed(data)
    assert set(lines) == paths(data)
    assert dump(again, sections=sections) == text
    assert all(char.isprintable() or char in "\n" or ord(char) >= 0xA0 for char in text)


def test_a_recipe_is_written_as_a_person_would() -> None:
    data = {
        "data": {"name": "image_folder", "root": pathlib.PurePosixPath("/images")},
        "loss": {"name": "nt_xent", "temperature": 0.1},
        "augmentations": [
            {"name": "random_resized_crop", "size": 224, "area": (0.08, 1.0)},
            {"name": "horizontal_flip"},
            {"name": "gaussian_blur", "sigma": [0.1, 2.0]},
        ],
        "train": {"seed": 0, "nesterov": False, "weight_decay": 1e-06, "more": {"odd key": 'a "b"\n'}},
        "evaluate": [{"name": "knn", "k": 200}, {"name": "linear", "epochs": []}],
        "views": [{"augmentations": [{"name": "horizontal_flip"}]}, {}],
        "title": "SimCLR",
    }
    assert (
        dump(data, sections=("data", "evaluate"))
        == """\
loss = { name = "nt_xent", temperature = 0.1 }
augmentations = [
  { name = "random_resized_crop", size = 224, area = [0.08, 1.0] },
  { name = "horizontal_flip" },
  { name = "gaussian_blur", sigma = [0.1, 2.0] },
]
title = "SimCLR"

[data]
name = "image_folder"
root = "/images"

[train]
seed = 0
nesterov = false
weight_decay = 1e-06

[train.more]
"odd key" = "a \\"b\\"\\n"

[[evaluate]]
name = "knn"
k = 200

[[evaluate]]
name = "linear"
epochs = []

[[views]]
augmentations = [{ name = "horizontal_flip" }]

[[views]]
"""
    )


def test_a_component_that_does_not_fit_on_a_line_becomes_a_section() -> None:
    fits = {"name": "x" * (WIDTH - len('a = { name = "" }'))}
    assert dump({"a": fits}).splitlines() == [f'a = {{ name = "{fits["name"]}" }}']
    assert dump({"a": {"name": fits["name"] + "x"}}).splitlines() == ["[a]", f'name = "{fits["name"]}x"']


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, b"a", "\ud800", 10**200, {1, 2}])
def test_what_toml_or_a_recipe_can_not_hold_is_not_written(value: Any) -> None:
    with pytest.raises(AssertionError):
        dump({"a": [value]})


def test_an_integer_beyond_pythons_own_limit_is_refused_whatever_that_limit_is() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(RecipeError, match="more than 100 characters"):
            parse(HOSTILE["an integer"])
    finally:
        sys.set_int_max_str_digits(limit)
