"""Descriptions: defaults as a recipe writes them, and text that wraps where it reads well."""

import inspect
import re

import pytest
from rich.console import Console

from sslkit import toml
from sslkit.describe import description, parameter_rows
from sslkit.registry import KINDS, registry_of
from sslkit.wrapped import Docstring

NAMES = [(kind, name) for kind in KINDS for name in registry_of(kind).builtins]


def printed(*renderables, width):
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        for one in renderables:
            console.print(one)
    return capture.get().splitlines()


def cells(lines):
    """The columns of the tables, a row a line."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_defaults_are_toml_and_those_of_the_model(kind, name):
    model = registry_of(kind).model(name)
    for key, _, default in parameter_rows(kind, name):
        if default not in ("required", "absent"):
            value = toml.parse(f"x = {default}")[0]["x"]
            wanted = model.model_fields[key].default
            assert value == (list(wanted) if isinstance(wanted, tuple) else str(wanted) if key == "root" else wanted), key


def test_a_table_at_the_widths_of_terminals():
    narrow, wide = (cells(printed(*description("augmentations", "random_resized_crop"), width=width)) for width in (80, 120))
    assert narrow[1:3] == [["area", "[float > 0 and <= 1,", "[0.08, 1.0]"], ["", "float > 0 and <= 1]", ""]]
    assert narrow[5:7] == [["interpolation", '"bilinear" or "bicubic"', '"bicubic"'], ["", 'or "area"', ""]]
    assert wide[1] == ["area", "[float > 0 and <= 1, float > 0 and <= 1]", "[0.08, 1.0]"]
    assert wide[4] == ["interpolation", '"bilinear" or "bicubic" or "area"', '"bicubic"']
    assert cells(printed(*description("losses", "nt_xent"), width=80))[1] == ["normalize", "bool", "true"]
    assert cells(printed(*description("evaluations", "knn"), width=80))[-1] == [
        "baselines",
        '["pixels" or "untrained", ...]',
        "[]",
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_nothing_is_wider_than_the_terminal(kind, name, width):
    assert max(map(len, printed(*description(kind, name), width=width))) <= width


def test_a_word_that_is_too_long_is_not_cut_off():
    assert "".join(printed(Docstring("a" * 50), width=36)) == "a" * 50


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_a_docstring_that_fits_is_not_touched_and_no_word_is_lost(kind, name):
    text = inspect.cleandoc(registry_of(kind).load(name).__doc__)
    assert printed(Docstring(text), width=128) == text.splitlines()
    narrow = printed(Docstring(text), width=72)
    assert re.sub(r"\s+", " ", " ".join(narrow)).strip() == re.sub(r"\s+", " ", text).strip()


def test_items_and_formulas_keep_their_indentation():
    text = """\
A paragraph of two lines that are both too long here
and that become three.

- An item of a list, which goes on
  here and there.
- Another item that is as long as that one.

    a = b    and so on
    c = d    a formula whose line is too long

Args:
    one: an argument that needs two lines of this width.
    other: short."""
    assert (
        printed(Docstring(text), width=36)
        == """\
A paragraph of two lines that are
both too long here and that become
three.

- An item of a list, which goes on
  here and there.
- Another item that is as long as
  that one.

    a = b    and so on
    c = d    a formula whose line is
        too long

Args:
    one: an argument that needs two
        lines of this width.
    other: short.""".splitlines()
    )
