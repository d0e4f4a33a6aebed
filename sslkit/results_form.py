"""The form of results.json and transfer.json: what a record must hold, so that nothing stumbles over another version's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_RECORD = {"encoder": str, "name": str, "value": (int, float), "epoch": int, "protocol": dict}
_LARGEST = 2**63
_PROTOCOL = {
    "evaluation": str,
    "features": str,
    "train": str,
    "test": str,
    "train_images": int,
    "test_images": int,
    "view": list,
    "seed": int,
    "recipe": str,
}


def complaint_of(content: Any) -> str | None:
    """What of the content of a results.json is not as it is written today, or None."""
    if not isinstance(content, dict) or not isinstance(content.get("finished"), bool):
        return "finished is missing, or neither true nor false"
    if not isinstance(content.get("results"), list):
        return "results is missing, or no list"
    if not _sentences(content.get("unreadable", [])):
        return "unreadable is no list of sentences"
    return complaint_of_records(content["results"], "results")


def complaint_of_records(records: Sequence[Any], place: str) -> str | None:
    """What of records of numbers is not as they are written today, or None; `place` is what their list is called."""
    complaints = (_complaint_of_record(record, f"{place}.{number}") for number, record in enumerate(records))
    return next((complaint for complaint in complaints if complaint), None)


def _complaint_of_record(record: Any, place: str) -> str | None:
    if complaint := _lacking(record, _RECORD, place):
        return complaint
    if not all(_is_number(record[key]) for key in ("value", "spread") if key in record):
        return f"{place}.value or its spread is no number of usual size"
    if not isinstance(record.get("test_contents", ""), str):
        return f"{place}.test_contents is no word"
    return _complaint_of_protocol(record["protocol"], f"{place}.protocol")


def _complaint_of_protocol(protocol: Mapping[str, Any], place: str) -> str | None:
    if complaint := _lacking(protocol, _PROTOCOL, place):
        return complaint
    if not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in protocol["view"]):
        return f"{place}.view is no list of operations with their names"
    if not isinstance(protocol.get("law", ""), str):
        return f"{place}.law is no sentence"
    return None


def _is_number(found: Any) -> bool:
    """Whether it can be shown and counted with; NaN can."""
    return isinstance(found, float) or (type(found) is int and abs(found) < _LARGEST)


def _sentences(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(one, str) for one in found)


def _lacking(record: Any, wanted: Mapping[str, Any], place: str) -> str | None:
    if not isinstance(record, dict):
        return f"{place} is no table"
    for key, kind in wanted.items():
        if not isinstance(record.get(key), kind):
            return f"{place}.{key} is {'of another kind' if key in record else 'missing'}"
    return None
