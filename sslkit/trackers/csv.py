"""CSV: every number that is logged, in one table `metrics.csv` that a spreadsheet opens."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


class CSV:
    """Writes `metrics.csv` with the columns step, name, value: one row a number, so that new names need no new columns.

    After a resume the rows that were written beyond the checkpoint are replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._path = Path(folder) / "metrics.csv"
        self._resumed = self._path.exists()
        self._file = self._path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        if not self._resumed:
            self._writer.writerow(("step", "name", "value"))

    def __call__(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add the numbers of a step."""
        if self._resumed:
            self._drop_from(step)
        self._writer.writerows((step, name, value) for name, value in numbers.items())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _drop_from(self, step: int) -> None:
        """Leave out what an earlier process wrote at this step and after it."""
        self._file.close()
        with self._path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        with self._path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *(row for row in rows if int(row[0]) < step)])
        self._file = self._path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._resumed = False
