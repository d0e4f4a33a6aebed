"""The recipes that travel with sslkit: in the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from sslkit.errors import UserError, did_you_mean, listed

_PACKAGE = Path(__file__).parent


def shipped() -> dict[str, Path]:
    """Name -> file of every shipped recipe."""
    folder = next(place for place in (_PACKAGE / "_recipes", _PACKAGE.parent / "recipes") if place.is_dir())
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a recipe: a path as it stands, or the name of a shipped recipe."""
    path = Path(name)
    if path.is_file():
        return path
    known = shipped()
    if name in known:
        return known[name]
    if path.is_dir():
        raise UserError(f"{name}: is a folder, not a recipe.")
    if path.exists():
        raise UserError(f"{name}: is a pipe, a socket or a device, not a recipe.")
    near = did_you_mean(path.stem, known)
    raise UserError(f"{name}: there is no such recipe.{near} Shipped: {listed(known)}.")


def title(path: Path) -> str:
    """The first line of a recipe's header."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.lstrip("# ").strip()
