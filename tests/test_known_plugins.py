"""Known plugins: the table by which a missing name says what to install is that of the packages themselves."""

from pathlib import Path

import pytest

from sslkit import toml
from sslkit.errors import UnknownName
from sslkit.known_plugins import _BROUGHT_BY, distribution_of
from sslkit.registry import registry_of

PLUGINS = Path(__file__).parents[1] / "plugins"


def projects():
    return [toml.parse(path.read_text(encoding="utf-8"))[0]["project"] for path in sorted(PLUGINS.glob("*/pyproject.toml"))]


def test_the_table_is_that_of_the_packages():
    found = {
        project["name"]: {group.removeprefix("sslkit."): set(points) for group, points in project["entry-points"].items()}
        for project in projects()
    }
    assert found == {name: {kind: set(names) for kind, names in kinds.items()} for name, kinds in _BROUGHT_BY.items()}
    assert len(found) == 7


def test_a_missing_name_says_what_brings_it(monkeypatch):
    monkeypatch.setattr("sslkit.plugins.scan", lambda: type("Nothing", (), {"offers": (), "broken": ()}))
    with pytest.raises(
        UnknownName, match="no method is called 'byol'. sslkit-byol brings it: pip install sslkit-byol. Known: siamese"
    ):
        registry_of("methods").load("byol")
    assert distribution_of("losses", "byol") is None


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("*/**/*.py")), ids=lambda path: path.name)
def test_plugins_import_public_names_alone(path):
    """`sslkit`, `sslkit.errors` and `sslkit.testing`: what is promised to stay."""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[:1] in (["from"], ["import"]) and (words[1] == "sslkit" or words[1].startswith("sslkit.")):
            assert words[1] in ("sslkit", "sslkit.errors", "sslkit.testing"), line


def test_the_table_of_the_docs_names_them_all():
    page = (PLUGINS.parent / "docs/extend.md").read_text(encoding="utf-8")
    for project in projects():
        assert f"`{project['name']}`" in page
        for points in project["entry-points"].values():
            assert all(f"`{name}`" in page for name in points)
