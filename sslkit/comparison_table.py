"""The tables of a comparison: which runs, what differs between them, their numbers, and each against the first one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sslkit.compare import Comparison
from sslkit.recipe import differing
from sslkit.side_by_side import Cell, cell
from sslkit.table import operation, protocol

_HOW_PAIRED = """\
difference: accuracy minus that of {first}, and its 95 % interval by the bootstrap over test images.
right alone: images that only {first}, and images that only the run got right.
p: McNemar's exact test. Holm: p corrected for the number of comparisons here, {number}; judge by this one.
{repeats}This compares encoders and not recipes: another seed gives another encoder, so look at the spread over seeds too."""
_REPEATS = "Of repeated evaluations the first repeat is compared.\n"


def tables(found: Comparison, *, width: int) -> Iterator[RenderableType]:
    """What `sslkit compare` prints, piece after piece; `width` in characters says how many columns fit into a table."""
    yield _runs(found)
    fits = max(1, (width - 32) // 11)
    for first in range(0, len(found.columns), fits):
        yield _numbers(found, range(first, min(first + fits, len(found.columns))))
    yield _protocols(found)
    if found.pairs:
        yield Text(f"\nimage by image, against {_called(found, 0)}: {found.runs[0].folder}")
        yield _paired(found)
        repeated = any(found.rows[pair.row].found[0].spread is not None for pair in found.pairs)
        words = {"first": _called(found, 0), "number": len(found.pairs), "repeats": _REPEATS if repeated else ""}
        yield Text(_HOW_PAIRED.format(**words))
    if found.refused:
        yield Text("\n".join(["", "not compared image by image:", *found.refused]))


def _letter(column: int) -> str:
    """What a column is called: A, B, ..., Z, A1, B1, ..."""
    times, place = divmod(column, len(ascii_uppercase))
    return f"{ascii_uppercase[place]}{times or ''}"


def _called(found: Comparison, run: int) -> str:
    """A run's column, with its seed where it is one of several."""
    i, column = next((i, column) for i, column in enumerate(found.columns) if run in column)
    return _letter(i) if len(column) == 1 else f"{_letter(i)} seed {found.runs[run].seed}"


def _runs(found: Comparison) -> Table:
    """The runs of each column, and how their recipes and versions differ from those of the first run of all."""
    table, first = Table.grid(padding=(0, 2, 0, 0)), found.runs[0]
    for i, column in enumerate(found.columns):
        runs = [found.runs[j] for j in column]
        seeds = f"seed{'s' if len(runs) > 1 else ''} {', '.join(str(run.seed) for run in runs)}"
        differences = [
            line for run in runs for line in (*differing(first.recipe, run.recipe), *differing(first.versions, run.versions))
        ]
        lines = [f"{', '.join(str(run.folder) for run in runs)}; {seeds}", *dict.fromkeys(differences)]
        table.add_row(_letter(i), Text("\n".join(lines)))
    return table


def _numbers(found: Comparison, columns: Sequence[int]) -> Table:
    """One row a number and protocol, one column the runs of a recipe."""
    table = Table()
    table.add_column("#", justify="right")
    table.add_column("number", overflow="fold")
    for i in columns:
        table.add_column(_letter(i), justify="right", no_wrap=True)
    for row, number in zip(found.rows, _protocol_numbers(found), strict=True):
        cells = [_text(cell(row, found.columns[i]), num_runs=len(found.columns[i])) for i in columns]
        table.add_row(str(number), Text(row.name), *cells)
    return table


def _text(shown: Cell | None, *, num_runs: int) -> str:
    if shown is None:
        return "-"
    lines = [f"{shown.value:.4f}"]
    lines += [] if shown.spread is None else [f"± {shown.spread:.4f}"]
    lines += [f"({shown.num_runs} of {num_runs})"] if shown.num_runs < num_runs else []
    return "\n".join(lines)


def _protocol_numbers(found: Comparison) -> list[int]:
    """The number of each row's protocol, from 1; rows of one evaluation share it."""
    known: list[Mapping[str, Any]] = []
    for row in found.rows:
        if row.found[0].comparable not in known:
            known.append(row.found[0].comparable)
    return [known.index(row.found[0].comparable) + 1 for row in found.rows]


def _protocols(found: Comparison) -> Table:
    """What each # stands for; view and data are said of each where they are not the same in all."""
    table = Table.grid(padding=(0, 2, 0, 0))
    rows = {number: row.found[0] for number, row in zip(_protocol_numbers(found), found.rows, strict=True)}
    all_keys = dict.fromkeys(key for one in rows.values() for key in one.comparable if key.startswith(("view.", "data.")))
    apart = [key for key in all_keys if len({str(one.comparable.get(key)) for one in rows.values()}) > 1]
    for number, one in rows.items():
        own = [f"{key} {one.comparable[key]}" for key in apart if key in one.comparable]
        table.add_row(str(number), Text("; ".join([protocol(one.protocol), *own])))
    if not any(key.startswith("view.") for key in apart):
        table.add_row("", Text(f"view {', '.join(operation(one) for one in found.rows[0].found[0].protocol['view'])}"))
    cells = [cell(row, column) for row in found.rows for column in found.columns]
    spread = any(one is not None and one.spread is not None for one in cells)
    words = "; mean ± standard deviation: of a column's runs, or of a single run's repeats" if spread else ""
    table.add_row("", Text(f"trained encoders after their last epoch{words}"))
    return table


def _paired(found: Comparison) -> Table:
    """Each other run against the first one, image by image."""
    table = Table()
    table.add_column("#", justify="right")
    table.add_column("number", overflow="fold")
    table.add_column("run", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("right alone", justify="right")
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("Holm", justify="right", no_wrap=True)
    numbers = _protocol_numbers(found)
    for pair in found.pairs:
        table.add_row(
            str(numbers[pair.row]),
            Text(found.rows[pair.row].name),
            _called(found, pair.run),
            f"{pair.difference:+.4f}\n{pair.interval[0]:.4f} to {pair.interval[1]:.4f}",
            f"{pair.alone.first} : {pair.alone.second}",
            *(f"{p:.2g}" for p in (pair.p_value, pair.adjusted)),
        )
    return table
