"""Files: all that a new package consists of, as text by path, and how it is written."""

from __future__ import annotations

import tempfile
from importlib import resources
from pathlib import Path

from sslkit import __version__
from sslkit.errors import ResourceError, UserError
from sslkit.new_plugin.names import Names, names_from
from sslkit.new_plugin.recipe import recipe_text
from sslkit.registry import registry_of

_PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "{component}: a component of the kind {kind} for sslkit."
readme = "README.md"
requires-python = ">=3.10"
dependencies = ["sslkit{bounds}"]

[project.optional-dependencies]
test = ["pytest>=8"]

[project.entry-points."sslkit.{kind}"]
{component} = "{module}:{component_class}"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]

[tool.pytest.ini_options]
testpaths = ["tests"]
filterwarnings = ["error"]
"""

_TEST = """\
\"\"\"What sslkit asks of everything of this kind.\"\"\"

from sslkit.testing import conformance

test_{component} = conformance("{kind}", "{component}")
"""

_README = """\
# {distribution}

The {one} `{component}` for [sslkit](https://pypi.org/project/sslkit): say here what it does, where it is published, and where
this differs from it.

```sh
pip install -e ".[test]"
pytest                                  # the checks of sslkit for every component of this kind
sslkit describe {kind} {component}
sslkit run recipes/{component}.toml
```

The class is `{component_class}` in `{module}.py`. Keyword-only parameters of its `__init__` are what a recipe may set; their
types and bounds are checked when the recipe is read.

To publish it: choose a licence and name it in `pyproject.toml`, then

```sh
pip install build twine
python -m build && twine upload dist/*
```
"""

_CHANGELOG = """\
# Changelog

## 0.1.0, unreleased

- The {one} `{component}`.
"""

_WORKFLOW = """\
name: test
on: [push, pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu
      - run: pip install -e ".[test]"
      - run: pytest
"""

_IGNORED = """\
__pycache__/
*.egg-info/
build/
dist/
runs/
"""


def package(names: Names, kind: str) -> dict[str, str]:
    """Path -> text of each file of a new package."""
    one = registry_of(kind).one
    major, minor, *_ = __version__.split(".")
    bounds = f">={major}.{minor},<{major}.{int(minor) + 1}"
    told = {**names._asdict(), "kind": kind, "one": one, "bounds": bounds}
    module = (resources.files("sslkit.new_plugin") / f"{kind}.py").read_text(encoding="utf-8")
    return {
        "pyproject.toml": _PYPROJECT.format(**told),
        f"{names.module}.py": module.replace("MINE", names.component).replace("Mine", names.component_class),
        f"recipes/{names.component}.toml": recipe_text(
            kind, component=names.component, distribution=names.distribution, one=one
        ),
        f"tests/test_{names.component}.py": _TEST.format(**told),
        "README.md": _README.format(**told),
        "CHANGELOG.md": _CHANGELOG.format(**told),
        ".github/workflows/test.yml": _WORKFLOW,
        ".gitignore": _IGNORED,
    }


def write_package(word: str, *, kind: str, place: Path) -> list[Path]:
    """Write a new package into a folder of its own; gives its files, or leaves nothing behind.

    Args:
        word: what the user calls it, see `names_from`.
        kind: the plural, `losses`.
        place: the folder in which that folder is made.

    Raises:
        UserError: the word or the kind can't be used, or there is such a folder already.
        ResourceError: it can't be written.
    """
    names = names_from(word, kind)
    folder = place / names.distribution
    if folder.exists():
        raise UserError(f"{folder}: is there already, and stays as it is. Choose another name, or another place with -o.")
    files = package(names, kind)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=f".{names.distribution}-") as beside:
            for path, text in files.items():
                file = Path(beside, names.distribution, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            Path(beside, names.distribution).rename(folder)
    except OSError as error:
        raise ResourceError(f"{folder}: can't be written: {error.strerror}.") from error
    return [folder / path for path in files]
