"""Features on disk: safetensors, written row by row and read as a memory map, so that they need not fit in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from sslkit.errors import CheckpointError
from sslkit.evaluations.features import Features

_KEY = "sslkit"  # the one metadata key, as in checkpoints


def write_features(
    path: Path,
    batches: Iterable[Float32[np.ndarray, "b d"]],
    *,
    indices: Int64[np.ndarray, " n"],
    labels: Int64[np.ndarray, "n *c"] | None,
    facts: Mapping[str, Any],
) -> None:
    """Write the rows of `batches`, n in all, as they come; the file is at its place once it is whole.

    Args:
        path: a `.safetensors` file; its tensors are `h`, `indices` and, where there are, `labels`.
        batches: rows of features; at least one.
        indices: the number of each image in its split.
        labels: those of the images.
        facts: what is kept in the metadata, as JSON: `split`, `classes` and more.
    """
    stream = iter(batches)
    first = next(stream)
    arrays = {"indices": indices} if labels is None else {"indices": indices, "labels": labels}
    shapes = {"h": (len(indices), first.shape[1]), **{name: array.shape for name, array in arrays.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(_header(shapes, facts))
            rows = 0
            for batch in chain([first], stream):
                assert batch.dtype == np.float32, "the header says so"
                rows += len(batch)
                file.write(np.ascontiguousarray(batch).data)
            assert rows == len(indices), f"{rows} rows for {len(indices)} images"
            for array in arrays.values():
                file.write(np.ascontiguousarray(array, dtype=np.int64).data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)  # it may be large, and the disk full
        raise


def read_features(path: Path) -> tuple[Features, dict[str, Any]]:
    """The features of a file, h as a memory map, and the facts about them.

    Raises:
        CheckpointError: the file is missing, cut off, or holds something else.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("cut off")
            header = json.loads(file.read(length))
        facts = json.loads(header.pop("__metadata__")[_KEY])
        arrays = {name: _mapped(path, 8 + length, one) for name, one in header.items()}
        classes = None if facts["classes"] is None else tuple(facts["classes"])
        labels = np.array(arrays["labels"]) if "labels" in arrays else None
        for name, array in arrays.items():
            if len(array) != len(arrays["h"]):
                raise ValueError(f"{len(array)} {name} for {len(arrays['h'])} rows")
        return Features(arrays["h"], labels, classes, facts["split"], np.array(arrays["indices"])), facts
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not a whole file of features ({error}).") from error


def _header(shapes: Mapping[str, tuple[int, ...]], facts: Mapping[str, Any]) -> bytes:
    """Eight bytes of length, then JSON, padded so that the data is aligned."""
    header: dict[str, Any] = {"__metadata__": {_KEY: json.dumps(facts, sort_keys=True)}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape)) * (4 if name == "h" else 8)
        header[name] = {"dtype": "F32" if name == "h" else "I64", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _mapped(path: Path, data: int, one: Mapping[str, Any]) -> np.ndarray:
    """An array of the file; nothing is read before it is looked at."""
    dtype = {"F32": np.float32, "I64": np.int64}[one["dtype"]]
    shape, (begin, _) = tuple(one["shape"]), one["data_offsets"]
    if not int(np.prod(shape)):
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=data + begin, shape=shape)
