"""Packages: what sslkit needs, each imported, and held against the versions that it goes with."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from sslkit.doctor.findings import Asked, Finding, error, ok, warning

# Distribution -> the module that it brings, in the order in which a run comes to them.
NEEDED = {
    "numpy": "numpy",
    "pydantic": "pydantic",
    "entrypoints": "entrypoints",
    "rich": "rich",
    "typer": "typer",
    "torch": "torch",
    "torchvision": "torchvision",
    "jaxtyping": "jaxtyping",
    "safetensors": "safetensors",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "faiss-cpu": "faiss",
    "packaging": "packaging",
    **({"tomli": "tomli"} if sys.version_info < (3, 11) else {}),
}
# Others that bring the same module: one will do, and two write over each other's files.
_RIVALS = {
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "faiss-cpu": ("faiss-gpu", "faiss-gpu-cu12", "faiss"),
}


def imported(name: str) -> Any:
    """The probe of one distribution; it imports what that brings."""
    return partial(_package, name)


def _package(name: str, _: Asked) -> Iterator[Finding]:
    there = {one: number for one in (name, *_RIVALS.get(name, ())) if (number := _version(one)) is not None}
    try:
        module = import_module(NEEDED[name])
    except (Exception, SystemExit) as problem:
        said = " ".join(str(problem).split()) or "it does not say why"
        what = f"can't be imported: {type(problem).__name__}: {said}" if there else "is not installed"
        yield error(name, what, f"pip install {'--force-reinstall ' if there else ''}{name}")
        return
    number = there.get(name) or getattr(module, "__version__", None) or "of unknown version"
    if len(there) > 1:
        every = ", ".join(f"{one} {number}" for one, number in there.items())
        yield warning(name, f"{every} write over each other", f"pip uninstall all of them, then pip install {name}.")
    elif name in there and (wanted := _unmet(name, number)):
        yield warning(name, f"{number}, and this sslkit was made for {wanted}", f'pip install "{name}{wanted}"')
    else:
        rival = "" if name in there or not there else f" ({next(iter(there))})"
        yield ok(name, f"{next(iter(there.values()), number)}{rival}")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _unmet(name: str, number: str) -> str:
    """The versions that sslkit's own metadata asks for, if this is none of them."""
    from packaging.requirements import Requirement

    try:
        asked = [Requirement(line) for line in requires("sslkit") or ()]
    except PackageNotFoundError:  # a checkout on the path, not installed
        return ""
    found = [one.specifier for one in asked if _normal(one.name) == name and (not one.marker or one.marker.evaluate())]
    return next((str(one) for one in found if not one.contains(number, prereleases=True)), "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
