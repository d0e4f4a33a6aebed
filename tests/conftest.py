"""What all tests share: shapes are checked, and where the reference material lies."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

install_import_hook("sslkit", "typechecker.checked")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden numbers and real images; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SSLKIT_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference material at {folder} (set SSLKIT_SHARED)")
    return folder
