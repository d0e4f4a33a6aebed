"""Compare: the numbers of finished runs side by side, and which of their differences chance would explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sslkit.errors import UserError, did_you_mean, listed
from sslkit.finished import FinishedRun
from sslkit.image_by_image import Difference, pairs_of
from sslkit.side_by_side import Columns, Row, by_recipe, other_protocols, rows_of


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Args:
        runs: in the order in which they were given.
        columns: which of them share a column, by their positions.
        rows: the numbers.
        pairs: each other run against the first, image by image.
        refused: a sentence for each that could not be compared so.
    """

    runs: list[FinishedRun]
    columns: Columns
    rows: list[Row]
    pairs: list[Difference]
    refused: list[str]


def compare(
    folders: Sequence[Path],
    *,
    metrics: Sequence[str] = (),
    columns: Callable[[Sequence[FinishedRun]], Columns] = by_recipe,
) -> Comparison:
    """The numbers of the trained encoders of finished runs, after the last epoch of each.

    Numbers stand in one row if name and protocol are the same but for seed and recipe, and the data too. Of the numbers that
    count images which are right (`..._top1`), where it is kept what was said of each image, each run is compared with the first
    one, image by image.

    Args:
        folders: two run folders or more; the others are compared with the first.
        metrics: names of numbers, such as `knn_top1`; all by default.
        columns: which runs share a column: `by_recipe`, those that differ only in their seed; or `one_each`.

    Raises:
        UserError: a folder is given twice or holds no finished run, the runs have no number in common, or none has a number of
            one of these names.
    """
    if len(folders) < 2:
        raise UserError("compare: needs two run folders or more.")
    places = [folder.resolve() for folder in folders]
    if twice := [folder for i, folder in enumerate(folders) if places[i] in places[:i]]:
        raise UserError(f"{twice[0]}: is given twice.")
    runs = [FinishedRun.read(folder) for folder in folders]
    rows = _narrowed(rows_of(runs), metrics)
    if not any(len(row.found) > 1 for row in rows):
        two = combinations(range(len(runs)), 2)
        why = [sentence for i, j in two for sentence in other_protocols(runs, rows, first=i, second=j)]
        raise UserError("\n  ".join(["compare: the runs have no number in common.", *why]))
    return Comparison(runs, columns(runs), rows, *pairs_of(runs, rows))


def _narrowed(rows: list[Row], metrics: Sequence[str]) -> list[Row]:
    names = {row.name for row in rows}
    if unknown := [name for name in metrics if name not in names]:
        near = did_you_mean(unknown[0], names)
        raise UserError(f"--metric: no run has a number {unknown[0]!r}.{near} Known: {listed(names)}.")
    return [row for row in rows if row.name in metrics or not metrics]
