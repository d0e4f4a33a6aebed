"""MINE: numbers as lines of text."""

from collections.abc import Mapping
from pathlib import Path


class Mine:
    """Writes `MINE.txt` in the run folder, a line a number.

    Args:
        folder: the run folder.
        step: steps done already; lines of later ones, from before a stop, are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "MINE.txt"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        self.file = path.open("w", encoding="utf-8")
        self.file.writelines(line for line in lines if int(line.split()[0]) <= step)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        self.file.writelines(f"{step} {name} {value}\n" for name, value in numbers.items())
        self.file.flush()

    def close(self) -> None:
        """Called once, at the end of the run."""
        self.file.close()
