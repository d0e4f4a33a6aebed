"""Pairs: each run against the first one, image by image, and which differences chance would explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sslkit.errors import CheckpointError, DataError
from sslkit.finished import Answers, FinishedRun, Number
from sslkit.paired import Alone, bootstrap_interval, holm, mcnemar, right_alone
from sslkit.side_by_side import Row, other_protocols


@dataclass(frozen=True)
class Difference:
    """What a test set says of a run and the first one.

    Args:
        row: the number, by its position among the rows.
        run: by its position among the runs.
        difference: the accuracy of the run minus that of the first, in [-1, 1]; of repeated evaluations the first repeat's.
        interval: of the difference, 95 %.
        alone: how many images the first alone got right, and how many the run alone.
        p_value: of McNemar's exact test.
        adjusted: the same after Holm's correction for all pairs.
    """

    row: int
    run: int
    difference: float
    interval: tuple[float, float]
    alone: Alone
    p_value: float
    adjusted: float


def pairs_of(runs: Sequence[FinishedRun], rows: Sequence[Row]) -> tuple[list[Difference], list[str]]:
    """A pair for each other run and each number of which it is kept what was said of each image; and why some have none."""
    pairs: list[Difference] = []
    counted = [row for row in rows if any(number.predicted for number in row.found)]
    refused = [why for i in range(1, len(runs)) for why in other_protocols(runs, counted, first=0, second=i)]
    for row in counted:
        for i, number in enumerate(row.numbers):
            first = row.numbers[0]
            if i == 0 or first is None or number is None:
                continue
            try:
                answers = _answers(runs[0], runs[i], numbers=(first, number))
            except (DataError, CheckpointError) as error:
                refused.append(str(error))
            else:
                pairs.append(_difference(*answers, row=rows.index(row), run=i))
    adjusted = holm([pair.p_value for pair in pairs])
    return [replace(pair, adjusted=p) for pair, p in zip(pairs, adjusted, strict=True)], list(dict.fromkeys(refused))


def _answers(first: FinishedRun, second: FinishedRun, *, numbers: tuple[Number, Number]) -> tuple[Answers, Answers]:
    """What both runs made of the same test set; DataError if it is not the same, as far as its labels tell."""
    a, b = first.answers(numbers[0]), second.answers(numbers[1])
    differ = f"{numbers[0].name}: the test sets of {first.folder} and {second.folder} differ"
    if len(a.labels) != len(b.labels):
        raise DataError(f"{differ}: {len(a.labels)} and {len(b.labels)} images.")
    if num_others := int(np.sum(a.labels != b.labels)):
        raise DataError(f"{differ}: {num_others} of {len(a.labels)} images have another label.")
    return a, b


def _difference(first: Answers, second: Answers, *, row: int, run: int) -> Difference:
    alone, p = right_alone(first.right, second.right), mcnemar(first.right, second.right)
    return Difference(
        row=row,
        run=run,
        difference=(alone.second - alone.first) / len(first.right),
        interval=bootstrap_interval(first.right, second.right),
        alone=alone,
        p_value=p,
        adjusted=p,
    )
