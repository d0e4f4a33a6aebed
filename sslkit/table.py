"""Tables: the results of a run as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_TITLES = {"pixels": "raw pixels", "untrained": "untrained", "trained": "trained"}
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


def results_table(results: Sequence[Mapping[str, Any]], *, title: str) -> Table:
    """One row a number and protocol, one column an encoder; evaluations on the way are left out."""
    last = max((result["epoch"] for result in results), default=0)
    final = [result for result in results if result["encoder"] != "trained" or result["epoch"] == last]
    encoders = [name for name in _TITLES if any(result["encoder"] == name for result in final)]
    table = Table(title=title, caption=_caption(final, last=last), title_justify="left", caption_justify="left")
    table.add_column("number")
    table.add_column("protocol", overflow="fold")
    for name in encoders:
        table.add_column(_TITLES[name], justify="right", style="bold" if name == "trained" else "")
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for result in final:
        rows.setdefault((result["name"], protocol(result["protocol"])), {})[result["encoder"]] = result["value"]
    for (name, described), values in rows.items():
        table.add_row(name, described, *(f"{values[one]:.4f}" if one in values else "-" for one in encoders))
    return table


def protocol(facts: Mapping[str, Any]) -> str:
    """The parameters of an evaluation in one line, with the images it used."""
    own = [f"{key} {_short(value)}" for key, value in facts.items() if key not in (*_SHOWN_APART, "train", "test")]
    images = f"{facts['train']} {facts['train_images']} -> {facts['test']} {facts['test_images']}"
    law = [facts["law"]] if facts.get("law") else []
    return "; ".join([*law, *own, images])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _caption(results: Sequence[Mapping[str, Any]], *, last: int) -> str:
    if not results:
        return "no evaluations"
    facts = results[0]["protocol"]
    view = ", ".join(operation(one) for one in facts["view"])
    origin = f"epoch {last}; seed {facts['seed']}; recipe {facts['recipe']}"
    return f"features h of the frozen encoder; view {view}; {origin}"


def operation(section: Mapping[str, Any]) -> str:
    """An operation of a view in a few words: its name and parameters."""
    parameters = [f"{key} {_short(value)}" for key, value in section.items() if key not in ("name", "p")]
    return " ".join([section["name"], *parameters])
