"""Packages that exist only for a test: a module on `sys.path` and the metadata that an installer would write."""

import sys
from pathlib import Path

import pytest

from sslkit import plugins


@pytest.fixture
def install(tmp_path, monkeypatch):
    """`install(name, entry_points, **modules)` puts a package on `sys.path`; it is gone after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    plugins.scan.cache_clear()

    def put(name: str, entry_points: str, **modules: str) -> None:
        info = Path(tmp_path / f"{name.replace('-', '_')}-1.0.dist-info")
        info.mkdir()
        (info / "entry_points.txt").write_text(entry_points, encoding="utf-8")
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        plugins.scan.cache_clear()

    yield put
    plugins.scan.cache_clear()
    for module in set(sys.modules) - before:
        if module.startswith("fake_"):
            del sys.modules[module]
