"""CSV: every number that is logged, in one table `metrics.csv` that a spreadsheet opens."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


class CSV:
    """Writes `metrics.csv` with the columns step, name, value: one row a number, so that new names need no new columns.

    Args:
        folder: the run folder.
        step: steps done already; rows of later steps, from before a stop, are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = Path(folder) / "metrics.csv"
        kept = [["step", "name", "value"]]
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                kept += [row for row in list(csv.reader(file))[1:] if len(row) == 3 and int(row[0]) <= step]
            path.unlink()  # a link that lies there is not followed
        self._file = path.open("x", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerows(kept)

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        self._writer.writerows((step, name, value) for name, value in numbers.items())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
