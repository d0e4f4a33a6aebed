"""Transfer file: `transfer.json` of a run folder, what was found on each data set and under which name it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from sslkit import bounded, json_text, toml
from sslkit.errors import RunFolderError
from sslkit.folder import MOST_RESULTS, PIECES
from sslkit.results import Result, merged
from sslkit.results_form import complaint_of_records
from sslkit.toml_writer import inline
from sslkit.whole_files import write


def kept(file: Path) -> list[dict[str, Any]]:
    """What earlier transfers of this run found, a record a data set."""
    try:
        content: list[dict[str, Any]] = _read(file) if file.exists() else []
        complaint = _complaint_of(content)
    except (OSError, ValueError) as error:
        complaint = f"no JSON, {error}"
    if complaint:
        raise RunFolderError(
            f"{file}: is damaged, so nothing can be added to it: {complaint}. Move it away, or bring back what it was."
        )
    return content


def _complaint_of(content: Any) -> str | None:
    """What of the content is not as it is written today, or None."""
    if not isinstance(content, list):
        return "it is no list"
    for number, column in enumerate(content):
        if not isinstance(column, dict) or not isinstance(column.get("data"), str):
            return f"{number}.data is missing, or no name"
        if not isinstance(column.get("results"), list):
            return f"{number}.results is missing, or no list"
        if complaint := complaint_of_records(column["results"], f"{number}.results"):
            return complaint
    return None


def _read(file: Path) -> Any:
    return json_text.parse(bounded.read(file, most=MOST_RESULTS, what="it"), most_pieces=PIECES)


def keep(file: Path, name: str, *, source: str, metric: str, results: Sequence[Result]) -> None:
    """Add what was found on a data set to the file; what lies there of others, or of other rows, stays."""
    records = {one["data"]: one for one in kept(file)}
    before = records[name]["results"] if name in records else []
    records[name] = {"data": name, "source": source, "metric": metric, "results": merged(before, results)}
    write(file, (json.dumps(list(records.values()), indent=1) + "\n").encode())


def names_of(data: Sequence[str], taken: Mapping[str, str | None]) -> list[str]:
    """A name a data set: its folder's or its own, with a number where another data set has that; `taken` are name -> source."""
    sources = dict(taken)
    names: list[str] = []
    for text in data:
        own = str(_table(text).get("name", "data")) if text.lstrip().startswith("{") else Path(text).resolve().name
        numbered = (f"{own}-{number}" for number in count(2))
        names.append(next(one for one in chain([own], numbered) if sources.setdefault(one, source_of(text)) == source_of(text)))
    return names


def source_of(text: str) -> str:
    """What `--data` names, however it is written."""
    return inline(_table(text)) if text.lstrip().startswith("{") else str(Path(text).resolve())


def _table(text: str) -> dict[str, Any]:
    data, _ = toml.parse(f"data = {text}", source="--data")
    return data["data"] if isinstance(data["data"], dict) else {}
