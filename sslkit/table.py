"""Tables: the results of a run as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_TITLES = {"pixels": "raw pixels", "untrained": "untrained", "trained": "trained"}
_FOUR_DIGITS = 1e-3  # what is smaller would show fewer than two digits
_METRICS = {"top1": "top-1", "mean_per_class": "mean per class", "map": "11-point mAP"}
_ROWS = {"linear": "linear", "finetune": "fine-tuned", "random": "random init"}
_SHOWN_APART = (
    "evaluation",
    "law",
    "features",
    "view",
    "seed",
    "recipe",
    "train_images",
    "test_images",
)  # in the caption, or not at all


def results_table(results: Sequence[Mapping[str, Any]], *, title: str, unreadable: Sequence[str] = ()) -> Table:
    """One group an evaluation: a row a number, a column an encoder, and under them their protocol.

    Evaluations on the way are left out. The foot says how many images could not be read.
    """
    last = max((result["epoch"] for result in results), default=0)
    final = [result for result in results if result["encoder"] != "trained" or result["epoch"] == last]
    encoders = [name for name in _TITLES if any(result["encoder"] == name for result in final)]
    caption = _caption(final, last=last, num_unreadable=len(unreadable))
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("number", overflow="fold")
    for name in encoders:
        table.add_column(_TITLES[name], justify="right", style="bold" if name == "trained" else "")
    groups: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for result in final:
        group = groups.setdefault((result["protocol"]["evaluation"], protocol(result["protocol"])), {})
        group.setdefault(result["name"], {})[result["encoder"]] = _value(result)
    for (_, described), rows in groups.items():
        for name, values in rows.items():
            table.add_row(name, *(values.get(one, "-") for one in encoders))
        table.add_row(Padding(Text(described, style="dim"), (0, 0, 0, 2)))
        table.add_section()
    return table


def protocol(facts: Mapping[str, Any]) -> str:
    """The parameters of an evaluation in one line, with the images it used."""
    own = [f"{key} {_short(value)}" for key, value in facts.items() if key not in (*_SHOWN_APART, "train", "test")]
    images = f"{facts['train']} {facts['train_images']} -> {facts['test']} {facts['test_images']}"
    law = [facts["law"]] if facts.get("law") else []
    layer = [] if facts["features"] == "h" else [f"layer {facts['features']}"]
    return "; ".join([*law, *layer, *own, images])


def _value(result: Mapping[str, Any]) -> str:
    """The number, with its spread where it is a mean over seeds."""
    spread = f" +- {result['spread']:.4f}" if "spread" in result else ""
    tiny = 0 < abs(result["value"]) < _FOUR_DIGITS
    return f"{result['value']:.1e}{spread}" if tiny else f"{result['value']:.4f}{spread}"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _caption(results: Sequence[Mapping[str, Any]], *, last: int, num_unreadable: int) -> str:
    skipped = f"; {num_unreadable} images could not be read, and others stood in for them" if num_unreadable else ""
    if num_unreadable == 1:
        skipped = "; 1 image could not be read, and another stood in for it"
    if not results:
        return f"no numbers{skipped}"
    facts = results[0]["protocol"]
    view = ", ".join(operation(one) for one in facts["view"])
    origin = f"epoch {last}; seed {facts['seed']}; recipe {facts['recipe']}"
    return f"features h, unless a layer is named; view {view}; {origin}{skipped}"


def operation(section: Mapping[str, Any]) -> str:
    """An operation of a view in a few words: its name and parameters."""
    parameters = [f"{key} {_short(value)}" for key, value in section.items() if key not in ("name", "p")]
    return " ".join([section["name"], *parameters])


def transfer_table(columns: Sequence[Any], *, title: str) -> Table:
    """One row a way of transfer, one column a data set, in the shape of the paper's table 8."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(f"{column.name}\n{_METRICS[column.metric]}", justify="right")
    for row in columns[0].values if columns else ():
        table.add_row(_ROWS[row], *(f"{column.values[row]:.4f}" for column in columns))
    return table
