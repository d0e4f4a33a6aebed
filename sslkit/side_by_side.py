"""Numbers of several runs side by side: a row a number and protocol, a column a recipe."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sslkit.finished import FinishedRun, Number
from sslkit.recipe import differing

Columns = list[list[int]]  # the runs of each column, by their positions


class Row(NamedTuple):
    """A number under one protocol: what each run has for it, or None."""

    name: str
    numbers: tuple[Number | None, ...]

    @property
    def found(self) -> list[Number]:
        """What those runs have that have it."""
        return [number for number in self.numbers if number is not None]


class Cell(NamedTuple):
    """What stands in a row for a column: the mean over its runs that have the number, and how far they spread.

    The spread is the standard deviation over runs, or in a column of one run over the repeats of its evaluation; None if there
    is one value only.
    """

    value: float
    spread: float | None
    num_runs: int


def by_recipe(runs: Sequence[FinishedRun]) -> Columns:
    """Runs that differ in nothing but their seed share a column; of two with the same seed each begins one."""
    columns: Columns = []
    for i, run in enumerate(runs):
        for column in columns:
            if runs[column[0]].recipe == run.recipe and all(runs[j].seed != run.seed for j in column):
                column.append(i)
                break
        else:
            columns.append([i])
    return columns


def one_each(runs: Sequence[FinishedRun]) -> Columns:
    """Each run has a column of its own."""
    return [[i] for i in range(len(runs))]


def rows_of(runs: Sequence[FinishedRun]) -> list[Row]:
    """One row a name and protocol, in the order of the first run, then of the next."""
    rows: list[tuple[tuple[str, Any], list[Number | None]]] = []
    for i, run in enumerate(runs):
        for number in run.numbers:
            key = number.name, number.comparable
            for known, numbers in rows:
                if known == key:
                    numbers[i] = number
                    break
            else:
                rows.append((key, [number if j == i else None for j in range(len(runs))]))
    return [Row(name, tuple(numbers)) for (name, _), numbers in rows]


def cell(row: Row, column: Sequence[int]) -> Cell | None:
    """What a column shows in a row; None if none of its runs has the number."""
    found = [number for i in column if (number := row.numbers[i]) is not None]
    if not found:
        return None
    values = [number.value for number in found]
    alone = found[0].spread if len(column) == 1 else None
    return Cell(statistics.fmean(values), statistics.stdev(values) if len(found) > 1 else alone, len(found))


def other_protocols(runs: Sequence[FinishedRun], rows: Sequence[Row], *, first: int, second: int) -> Iterator[str]:
    """A sentence for each number that two runs have under no protocol in common: in which keys the most similar ones differ."""
    for name in dict.fromkeys(row.name for row in rows):
        pairs = [(row.numbers[first], row.numbers[second]) for row in rows if row.name == name]
        if any(a and b for a, b in pairs):
            continue
        ours, theirs = ([number for number in numbers if number] for numbers in zip(*pairs, strict=True))
        if ways := [differing(a.comparable, b.comparable) for a in ours for b in theirs]:
            nearest = min(ways, key=len)
            yield f"{name}: {runs[first].folder} and {runs[second].folder} have other protocols ({'; '.join(nearest)})."
