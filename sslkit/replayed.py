"""Replayed: what a repeated step was like, as a person reads it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sslkit.replay import Image, Replay

_SHOWN = 8  # images, parameters, and layers after the first whose output is not finite


def shown(found: Replay, *, everything: bool = False) -> Iterator[RenderableType]:
    """What `sslkit replay` prints, piece after piece; of images, parameters and layers the first few.

    `everything` shows the rest, too. Layers before one whose output is not finite are always there.
    """
    most = max(len(found.images), len(found.gradients), len(found.layers)) if everything else _SHOWN
    yield Text(_verdict(found), style="bold")
    yield _numbers(found)
    yield Text(_like_the_log(found))
    yield from _images(found, most)
    yield _layers(found, most)
    yield _gradients(found, most)


def _verdict(found: Replay) -> str:
    where = f"step {found.step} of {found.steps}"
    if not found.noted:
        return f"{where}: {found.found or 'every number is finite'}."
    if found.found:
        return f"{where}: a number is not finite again: {found.found}."
    return (
        f"{where}: every number is finite here, and the run stopped because {found.noted}. It does not appear again: was "
        f"the run on another machine, with other threads or in several processes, or has a component changed since?"
    )


def _numbers(found: Replay) -> Table:
    table = Table(title="numbers", title_justify="left")
    table.add_column("number")
    table.add_column("now", justify="right")
    table.add_column("as logged", justify="right")
    for name in {**found.numbers, **(found.logged or {})}:
        logged = "-" if found.logged is None else found.logged.get(name, "-")
        table.add_row(name, str(found.numbers.get(name, "-")), str(logged))
    table.add_section()
    if found.z is not None:
        table.add_row("standard deviation of z / ||z||, times sqrt(k)", f"{found.z.std:.4g}", "-")
        table.add_row("effective rank of z", f"{found.z.rank:.4g}", "-")
    table.add_row("norm of all weights, before the update", f"{found.weights:.6g}", "-")
    return table


def _like_the_log(found: Replay) -> str:
    if found.logged is None:
        return "metrics.jsonl has no line of this step to compare with."
    if found.logged == found.numbers:
        return "Equal to the bit to what the run logged."
    return "Not equal to what the run logged: the machine, the threads, the number of processes or a component differ."


def _images(found: Replay, most: int) -> Iterator[RenderableType]:
    first = ", ".join(_named(one) for one in found.images[:most])
    more = f", and {len(found.images) - most} more" if len(found.images) > most else ""
    yield Text(f"images of the batch: {first}{more}")
    wrong = [one for one in found.images if not one.finite]
    if wrong:
        yield Text(f"not finite in the views or outputs of {_some(wrong, most)}")
    elif any(not math.isfinite(one.slope) for one in found.images):
        yield Text("The views and outputs of all images are finite, and the gradient by the outputs is not: look at the loss.")
    elif any(not one.finite for one in found.gradients):
        yield Text("The gradient by the outputs of all images is finite, and by a weight it is not: look at the layers.")
    else:
        largest = sorted(found.images, key=lambda one: -one.slope)[:3]
        slopes = ", ".join(f"{_named(one)} ({one.slope:.3g})" for one in largest)
        yield Text(f"largest gradient of the loss by the outputs of an image: {slopes}")


def _some(images: Sequence[Image], most: int) -> str:
    number = f"{len(images)} image{'s' * (len(images) > 1)}"
    return f"{number}: {', '.join(_named(one) for one in images[:most])}{', ...' * (len(images) > most)}"


def _named(image: Image) -> str:
    return f"{image.number} {image.place}".rstrip()


def _layers(found: Replay, most: int) -> Table:
    names = [one.name for one in found.layers]
    last = names.index(found.first) + most if found.first else len(names)
    table = Table(title="what the layers gave", title_justify="left", caption=_more(len(names) - last), caption_justify="left")
    for name in ("layer", "shape"):
        table.add_column(name, overflow="fold")
    for name in ("lowest", "highest", "not finite"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in found.layers[:last]:
        mark = "<- the first" if one.name == found.first else ""
        wrong = f"{one.num_wrong} of {one.num_values}" if one.num_wrong else ""
        shape = " x ".join(str(size) for size in one.shape) or "one number"
        table.add_row(one.name, shape, f"{one.low:.4g}", f"{one.high:.4g}", wrong, mark, style="bold" if mark else "")
    return table


def _more(number: int) -> str | None:
    """How many rows are left out, if any are."""
    return f"and {number} more; --all shows them" if number > 0 else None


def _gradients(found: Replay, most: int) -> Table:
    caption = _more(len(found.gradients) - most)
    table = Table(title="gradients, the worst first", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("parameter", overflow="fold")
    table.add_column("norm", justify="right")
    table.add_column("")
    for one in found.gradients[:most]:
        table.add_row(one.name, f"{one.norm:.4g}", "" if one.finite else "not finite")
    return table
