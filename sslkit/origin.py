"""Origin: which versions wrote a run folder, said where something in it can't be used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sslkit
from sslkit import bounded, toml
from sslkit.errors import Problem, RecipeError, UserError

_NOT_OURS = ("python", "torch", "numpy", "opencv")  # they don't decide what a file of ours looks like


def other_versions(resolved: Mapping[str, Any]) -> str:
    """A sentence if other versions of sslkit or of plugins wrote a resolved recipe than are installed, else nothing."""
    theirs = _recorded(resolved)
    ours = {name: _installed(name) for name in theirs}
    differing = [name for name in theirs if theirs[name] != ours[name]]
    if not differing:
        return ""
    wrote = ", ".join(f"{name} {theirs[name]}" for name in differing)
    installed = ", ".join(f"{name} {ours[name]}" if ours[name] else f"no {name}" for name in differing)
    pins = " ".join(f'"{name}=={theirs[name]}"' for name in differing)
    return (
        f"This was written with {wrote}; installed: {installed}. Go back to what wrote it (pip install {pins}), or train the "
        f"recipe anew in another folder."
    )


def origin(folder: Path) -> str:
    """Sentences that follow the complaint about a file of a run folder: who wrote it, and what to do."""
    resolved = _resolved(folder)
    if sentence := other_versions(resolved):
        return sentence
    if written := _recorded(resolved).get("sslkit"):
        return (
            f"sslkit {written} wrote it, which is installed, so the file or a component was changed since. Bring back what it "
            f"was, or train the recipe anew in another folder."
        )
    return (
        "It was written by another version of sslkit or of a plugin, or changed since; no resolved.toml says by which. Install "
        "that one, or train the recipe anew."
    )


def with_absent(error: RecipeError, folder: Path) -> RecipeError:
    """The complaint about a recipe, and which packages the run in a folder was made with that are not installed now."""
    absent = {name: number for name, number in _recorded(_resolved(folder)).items() if not _installed(name)}
    if not absent:
        return error
    made = ", ".join(f"{name} {number}" for name, number in absent.items())
    pins = " ".join(f'"{name}=={number}"' for name, number in absent.items())
    sentence = f"This run was made with {made}, not installed now. Bring back what is missing: pip install {pins}."
    return RecipeError([*error.problems, Problem(str(folder / "resolved.toml"), sentence)])


def _resolved(folder: Path) -> dict[str, Any]:
    """The resolved recipe in a run folder; nothing where it can't be read."""
    try:
        text = bounded.read(folder / "resolved.toml", most=toml.MOST_BYTES, what="a recipe").decode("utf-8")
        return toml.parse(text)[0]
    except (OSError, UnicodeDecodeError, UserError):
        return {}


def _recorded(resolved: Mapping[str, Any]) -> dict[str, str]:
    """The versions in `[resolved.versions]`, as far as they stand there."""
    derived = resolved.get("resolved")
    versions = derived.get("versions") if isinstance(derived, Mapping) else None
    found = versions if isinstance(versions, Mapping) else {}
    return {str(name): str(number) for name, number in found.items() if name not in _NOT_OURS}


def _installed(name: str) -> str:
    """The version of a package, or nothing where it is not there."""
    if name == "sslkit":
        return sslkit.__version__
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
