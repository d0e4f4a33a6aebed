"""Results: what evaluations found, each number with its protocol, and the arrays that are kept beside them."""

from __future__ import annotations

import hashlib
import json
import operator
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sslkit import checkpoint
from sslkit.evaluations.accuracy import Found, Setting

Result = dict[str, Any]

_TOP1 = "_top1"  # how the name of a number ends that counts images which are right
_SAME = ("encoder", "name", "epoch", "protocol")  # two records that agree in these are of one number


def merged(before: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """All results; of two of the same encoder, name, epoch and protocol the new one, whatever the circumstances."""
    key = operator.itemgetter(*_SAME)
    replaced = [key(result) for result in new]
    return [*(result for result in before if key(result) not in replaced), *new]


def records(
    repeats: Sequence[Found], *, encoder: str, epoch: int, protocol: Mapping[str, Any], circumstances: Mapping[str, Any]
) -> list[Result]:
    """One record a number; the mean where an evaluation was repeated, with the standard deviation and each value beside it.

    Of settings that were chosen it is the geometric mean, 0 if one of them is, without a deviation. A number is marked
    `predicted` if what was said of each image is kept too. The circumstances are what a number should not depend on.
    """
    values: dict[str, list[float]] = {}
    kept = {name for name, value in repeats[0] if isinstance(value, np.ndarray)}
    for found in repeats:
        for name, value in found:
            if not isinstance(value, np.ndarray):
                values.setdefault(name, []).append(value)
    return [
        {
            "encoder": encoder,
            "name": name,
            **_summary(each),
            **({"predicted": True} if predictions_of(name) in kept else {}),
            "epoch": epoch,
            "protocol": protocol,
            **circumstances,
        }
        for name, each in values.items()
    ]


def predictions_of(name: str) -> str | None:
    """What the array is called that a number `..._top1` is counted from; None for other numbers."""
    return f"{name.removesuffix(_TOP1)}_predicted" if name.endswith(_TOP1) else None


def of_other_images(before: Sequence[Result], new: Sequence[Result]) -> list[Result]:
    """Those of the new results that take the place of numbers of other test images."""
    known = {json.dumps([one[key] for key in _SAME], sort_keys=True): one.get("test_contents") for one in before}
    contents = [known.get(json.dumps([one[key] for key in _SAME], sort_keys=True)) for one in new]
    return [one for one, theirs in zip(new, contents, strict=True) if theirs is not None and theirs != one.get("test_contents")]


def _summary(values: Sequence[float]) -> dict[str, Any]:
    numbers = [float(value) for value in values]
    if len(numbers) == 1:
        return {"value": numbers[0]}
    if all(isinstance(value, Setting) for value in values):
        return {"value": statistics.geometric_mean(numbers) if min(numbers) > 0 else 0.0, "values": numbers}
    return {"value": statistics.fmean(numbers), "spread": statistics.stdev(numbers), "values": numbers}


def keep_arrays(
    folder: Path,
    found: Found,
    *,
    labels: np.ndarray | None,
    encoder: str,
    epoch: int,
    protocol: Mapping[str, Any],
) -> None:
    """Write the arrays of an evaluation, and the test labels, to a file; a later epoch takes the place of an earlier one.

    `sslkit compare` reads them: which image each encoder got right.
    """
    arrays = {name: value for name, value in found if isinstance(value, np.ndarray)}
    if not arrays:
        return
    if labels is not None:
        arrays["labels"] = labels
    facts = {"kind": "evaluation", "encoder": encoder, "epoch": epoch, "protocol": protocol}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    checkpoint.save(arrays_file(folder, encoder=encoder, protocol=protocol), tensors, facts)


def arrays_file(folder: Path, *, encoder: str, protocol: Mapping[str, Any]) -> Path:
    """Where the arrays of an evaluation lie in a run folder."""
    return folder / "evaluations" / f"{encoder}-{protocol['evaluation']}-{_key(protocol)}.safetensors"


def _key(protocol: Mapping[str, Any]) -> str:
    """Eight digits that tell protocols apart."""
    return hashlib.blake2b(json.dumps(protocol, sort_keys=True).encode(), digest_size=4).hexdigest()
