"""The docs' lines are run, their recipes are checked, and their tables are compared with the code they speak of."""

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pytest
import typer
from fake_plugins import install  # noqa: F401 (a fixture)
from small import TEXT

import sslkit
from sslkit import build, cli, encoder, errors, toml
from sslkit.describe import default_in_words, type_in_words
from sslkit.errors import ContractError, PluginError
from sslkit.recipe import FREE, FREE_SECTIONS, Recipe
from sslkit.registry import KINDS, registry_of
from sslkit.sections import SECTIONS, Train
from sslkit.toml_writer import dump

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text, language, mark=""):
    """The code blocks of a language whose mark, a comment on the line above, begins so."""
    return [
        found["text"]
        for found in BLOCK.finditer(text)
        if found["language"] == language and (found["mark"] or "").startswith(mark)
    ]


def section(text, heading):
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


def rows(text):
    """The cells of a section's first table, without its head."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[0].splitlines()[2:]]


def codes(cell):
    """What stands between backticks."""
    return re.findall(r"`([^`]*)`", cell)


def words(text):
    return " ".join(text.split())


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A folder with all that the docs' lines read; what they register is forgotten afterwards."""
    recipe = Recipe.parse(TEXT)
    backbone = build.backbone(recipe, in_channels=3)
    view = [part.to_dict() for part in recipe.evaluation_augmentations]
    facts = {"backbone": recipe.backbone.to_dict(), "channels": 3, "view": view}
    encoder.save(tmp_path / "runs" / "mine" / "encoder.safetensors", backbone, facts=facts)
    cv2.imwrite(str(tmp_path / "shoe.jpg"), np.zeros((40, 30, 3), np.uint8))
    (tmp_path / "mine.toml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    yield {"__name__": "__main__"}
    for kind in KINDS:
        registry_of(kind)._registered.clear()


@pytest.mark.parametrize("path", [path for path in PAGES if "<!-- run" in path.read_text()], ids=lambda path: path.stem)
def test_python_is_run_block_after_block(path, session):
    texts = list(blocks(path.read_text(encoding="utf-8"), "python", "run"))
    for text in texts:
        exec(compile(text, path.name, "exec"), session)
    assert len(texts) == path.read_text(encoding="utf-8").count("<!-- run")


@pytest.mark.parametrize(
    "module",
    [
        "distributed.ranks",
        "known_plugins",
        "new_plugin.names",
        "doctor.findings",
        "draws",
        "encoder",
        "micro_batches",
        "printable",
        "registry",
        "schedule",
        "testing.conformance",
    ],
)
def test_examples_in_docstrings(module):
    try:
        assert doctest.testmod(import_module(f"sslkit.{module}")).failed == 0
    finally:
        registry_of("losses")._registered.clear()


def test_no_example_is_forgotten():
    files = {path.stem for path in Path(sslkit.__file__).parent.rglob("*.py") if "    >>> " in path.read_text(encoding="utf-8")}
    assert files == {
        "conformance",
        "ranks",
        "findings",
        "draws",
        "encoder",
        "micro_batches",
        "printable",
        "registry",
        "schedule",
        "known_plugins",
        "names",
    }


def test_no_python_is_forgotten():
    for path in PAGES:
        for found in BLOCK.finditer(path.read_text(encoding="utf-8")):
            assert found["mark"] or found["language"] != "python", f"{path.name}: this block is not run:\n{found['text']}"


def test_components_that_are_shown_do_what_is_said(session):
    for text in blocks(page("extend.md"), "python", "run"):
        exec(compile(text, "extend.md", "exec"), session)
    loss = Recipe.parse(TEXT, overrides=['loss={name="hinge", margin=0.7, norm="l1"}']).loss
    assert loss.parameters == {"margin": 0.7, "norm": "l1"}
    images = np.full((5, 4, 4, 3), 0.5, np.float32)
    noisy = registry_of("augmentations").build("noise")(images, sslkit.Draw(np.arange(5), 0))
    assert (noisy.shape, noisy.dtype) == (images.shape, images.dtype)
    assert (noisy != images).any()
    h = np.eye(3, dtype=np.float32)
    features = sslkit.Features(h, np.arange(3), ("a", "b", "c"), "train")
    assert registry_of("evaluations").build("nearest_mean")(features, features) == [("nearest_mean_top1", 1.0)]


def test_errors_read_as_they_are_shown(session):
    shown = re.findall(r"<!-- error: (\w+) -->\n```python\n(.*?)```\n\n```text\n(.*?)```", page("extend.md"), re.DOTALL)
    assert len(shown) > 3
    for name, code, message in shown:
        with pytest.raises(getattr(errors, name)) as error:
            exec(compile(f"import sslkit\n{code}", "extend.md", "exec"), session)
        assert words(str(error.value)) == words(message)


def test_an_override_s_error_reads_as_it_is_shown():
    with pytest.raises(errors.RecipeError) as error:
        Recipe.parse(TEXT, overrides=["loss.temprature=0.5"])
    assert str(error.value) in blocks(page("start.md"), "text")[0]


def test_the_package_that_is_shown_is_one(install):  # noqa: F811
    (project,) = blocks(page("extend.md"), "toml", "package: pyproject")
    (module,) = blocks(page("extend.md"), "python", "package: module")
    data, _ = toml.parse(project)
    points = data["project"]["entry-points"]
    metadata = "".join(
        f"[{group}]\n" + "".join(f"{name} = {points[group][name]}\n" for name in points[group]) for group in points
    )
    install(data["project"]["name"], metadata, sslkit_hinge=module)
    registry = registry_of("losses")
    assert registry.component("hinge").distribution == f"{data['project']['name']} {data['project']['version']}"
    assert registry.filled("hinge", {"margin": 0.7})[0] == {"margin": 0.7, "norm": "l2"}
    install("other-hinge", metadata)
    with pytest.raises(PluginError) as error:
        registry.load("hinge")
    assert words(str(error.value)) in words(page("extend.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_recipes_and_pieces_of_recipes_are_right(path):
    base, _ = toml.parse(TEXT)
    for text in blocks(path.read_text(encoding="utf-8"), "toml"):
        data, _ = toml.parse(text, source=path.name)
        if "project" in data:
            continue
        if {"train", "backbone"} <= set(data):
            assert Recipe.parse(text, source=path.name).differences(Recipe.parse(text).to_dict()) == []
            continue
        rest = {key: value for key, value in base.items() if "views" not in data or key not in ("augmentations", "num_views")}
        piece = Recipe.parse(dump({**rest, **data}), source=path.name)
        assert piece.differences(piece.to_dict()) == []


def test_the_table_of_sections():
    table = rows(section(page("recipes.md"), "Sections"))
    assert sorted(codes(first)[0] for first, *_ in table) == sorted(SECTIONS)
    with pytest.raises(errors.RecipeError) as error:
        Recipe.parse("")
    required = {codes(first)[0] for first, _, default in table if default == "required"}
    assert required == {"backbone", "head", "loss", "optimizer", "data", "train"}
    for key in required:
        assert f"{key}: is missing" in str(error.value)


def _default(value):
    words = default_in_words(value)
    return words if words == "absent" else f"`{words}`"


def test_the_table_of_train():
    expected = []
    for key, field in Train.model_fields.items():
        default = "required" if field.is_required() else _default(field.default)
        annotation = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        expected.append([f"`{key}`", f"`{type_in_words(annotation)}`", default, field.description])
    assert rows(section(page("recipes.md"), "`[train]`")) == expected


@pytest.mark.parametrize(
    ("heading", "kind"), [("`data`", "datasets"), ("`augmentations`", "augmentations"), ("`evaluate`", "evaluations")]
)
def test_the_tables_of_options(heading, kind):
    expected = {
        key: [type_in_words(annotation), _default(default)] for key, (annotation, default) in registry_of(kind).options.items()
    }
    found = {codes(key)[0]: [codes(words)[0], default] for key, words, default, _ in rows(section(page("recipes.md"), heading))}
    assert found == expected


def test_no_kind_with_options_is_forgotten():
    assert {kind for kind in KINDS if registry_of(kind).options} == {"datasets", "augmentations", "evaluations"}


def test_the_operations_with_a_default_share_of_their_own():
    registry = registry_of("augmentations")
    own = {name: inspect.signature(registry.load(name)).parameters.get("p") for name in registry.builtins}
    ((*_, said),) = rows(section(page("recipes.md"), "`augmentations`"))
    assert set(codes(said)) == {name for name, p in own.items() if p is not None}
    assert all(str(p.default) in said for p in own.values() if p is not None)


def test_the_table_of_what_does_not_move_weights():
    table = rows(section(page("recipes.md"), "When two recipes are the same run"))
    assert {codes(first)[0] for first, _ in table} == {*FREE, *FREE_SECTIONS}


def test_the_table_of_contracts():
    table = {codes(first)[0]: rest for first, *rest in rows(section(page("extend.md"), "Contracts")) if codes(first)}
    assert set(table) == set(KINDS)
    for kind, (may_declare, called, _) in table.items():
        registry = registry_of(kind)
        assert set(codes(may_declare)) == set(registry.offered), kind
        for method in (*registry.calls, *registry.takes):
            assert f"`{method}" in called, (kind, method)
        for name in {name for names in registry.calls.values() for name in names} - {"*"}:
            assert re.search(rf"\b{name}\b", called), (kind, name)


@pytest.mark.parametrize("name", ["name", "_margin", "copy", "json"])
def test_what_is_refused_is_refused(name):
    names = {"__name__": "__main__"}
    exec(f"class Wrong:\n    def __init__(self, *, {name}: float = 0.5): ...\n    def __call__(self, z1, z2): ...", names)
    with pytest.raises(ContractError, match="may not be called"):
        registry_of("losses").check(names["Wrong"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_component_has_its_reference(kind):
    text, builtins = page(f"reference/{kind}.md"), registry_of(kind).builtins
    assert f"::: sslkit.{kind}\n" in text
    for name, target in builtins.items():
        assert f"## `{name}`\n\n::: {target.replace(':', '.')}\n" in text, name
    overview = rows(section(page("reference/index.md"), "Components"))
    assert [sorted(codes(names)) for first, names in overview if first == f"[{kind}]({kind}.md)"] == [sorted(builtins)]


@pytest.mark.parametrize("path", sorted((DOCS / "reference").glob("*.md")), ids=lambda path: path.stem)
def test_members_that_are_listed_live_in_their_module(path):
    """A page leaves out silently what is not there, or is only imported there."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^::: ([\w.]+)\n(?: .*\n)*? +members: \[(.+)\]$", text, re.MULTILINE)
    assert len(found) == text.count("members:") - text.count("members: false")
    for module, names in found:
        for name in names.split(", "):
            assert getattr(getattr(import_module(module), name, None), "__module__", None) == module, f"{module}.{name}"


def test_every_augmentation_has_its_picture():
    text = page("reference/augmentations.md")
    for name in registry_of("augmentations").builtins:
        assert f"](../pictures/{name}.png)" in text, name
        assert (ROOT / "docs" / "pictures" / f"{name}.png").is_file(), f"{name}: run python docs/pictures.py"


def test_every_public_name_is_listed():
    assert set(codes(section(page("reference/index.md"), "Public names"))) == {"sslkit", *sslkit.__all__}


def test_the_tree_of_errors():
    assert errors.__doc__.split("\n\n", 1)[1].strip() in page("reference/errors.md")


def test_every_command_is_listed():
    commands = typer.main.get_command(cli.app).commands
    listed = {codes(first)[0].split()[1] for first, _ in rows(section(page("start.md"), "Commands"))}
    assert listed == set(commands)


def test_files_that_are_named_exist():
    for path in PAGES:
        for name in re.findall(r"`(tests/[\w/]+\.py)`", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), name
