"""The public names: what the type checker sees is what there is, and every built-in component is among them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sslkit
from sslkit.registry import KINDS, registry_of


@pytest.mark.parametrize("name", sslkit.__all__)
def test_every_name_can_be_imported(name):
    assert getattr(sslkit, name).__name__ == name


def test_what_the_type_checker_sees_is_what_there_is():
    tree = ast.parse(Path(sslkit.__file__).read_text())
    seen = {
        f"{node.module}.{node.names[0].name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.names[0].asname
    }
    assert seen == {f"{module}.{name}" for name, module in sslkit._PUBLIC.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_component_is_public(kind):
    for target in registry_of(kind).builtins.values():
        module, _, name = target.partition(":")
        assert sslkit._PUBLIC[name] == module


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'SimCLR'"):
        sslkit.SimCLR  # noqa: B018


def test_importing_sslkit_is_quick():
    code = "import sslkit, sys; assert not {'torch', 'numpy', 'pydantic', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
