"""Features on disk: safetensors, written row by row and read as a memory map, so that they need not fit in memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from sslkit import bounded, tensor_header
from sslkit.errors import CheckpointError
from sslkit.evaluations.features import Features
from sslkit.whole_files import new

MOST_BYTES = 2**42  # of a file; a hundred million rows of 2,048 have 8e11
_DTYPES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype(np.float32), "I64": np.dtype(np.int64)}
_READ = 2**24  # bytes hashed at a time
_PLACEHOLDER = "0" * 64  # a digest is as long


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
    content = {**facts, "format": tensor_header.FORMAT}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp")
    try:
        with new(beside) as file:
            file.write(_header(shapes, {**content, "digest": _PLACEHOLDER}))
            digest.update(_described("h", "F32", shapes["h"]))
            rows = 0
            for batch in chain([first], stream):
                assert batch.dtype == np.float32, "the header says so"
                rows += len(batch)
                _put(file, batch, digest)
            assert rows == len(indices), f"{rows} rows for {len(indices)} images"
            for name, array in arrays.items():
                digest.update(_described(name, "I64", array.shape))
                _put(file, array.astype(np.int64, copy=False), digest)
            file.seek(0)  # now that the digest is known
            file.write(_header(shapes, {**content, "digest": digest.hexdigest()}))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)  # it may be large, and the disk full
        raise


def read_features(path: Path) -> tuple[Features, dict[str, Any]]:
    """The features of a file, h as a memory map, and the facts about them. All of it is read once, to verify its digest.

    Raises:
        CheckpointError: the file is missing, cut off, changed, or holds something else.
    """
    try:
        with bounded.opened(path, most=MOST_BYTES, what="a file of features") as (file, size):
            header = tensor_header.read_header(file, size)
            if sentence := tensor_header.later_format(header.facts):
                raise CheckpointError(f"{path}: {sentence}")
            _check(header)
            facts = dict(header.facts)
            if facts.pop("digest", None) != _digest(file, header, facts):
                raise CheckpointError(f"{path}: its content does not match its digest; the file is damaged.")
            arrays = {name: _mapped(file, header.data, one) for name, one in header.entries.items()}
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: is not a whole file of features ({error}).") from error
    facts.pop("format")
    classes = None if facts["classes"] is None else tuple(facts["classes"])
    labels = np.array(arrays["labels"]) if "labels" in arrays else None
    return Features(arrays["h"], labels, classes, facts["split"], np.array(arrays["indices"])), facts


def _header(shapes: Mapping[str, tuple[int, ...]], facts: Mapping[str, Any]) -> bytes:
    """Eight bytes of length, then JSON, padded so that the data is aligned."""
    header: dict[str, Any] = {"__metadata__": {tensor_header.KEY: json.dumps(facts, sort_keys=True)}}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape)) * (4 if name == "h" else 8)
        header[name] = {"dtype": "F32" if name == "h" else "I64", "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _put(file: io.BufferedIOBase, array: np.ndarray, digest: Any) -> None:
    data = np.ascontiguousarray(array).data
    file.write(data)
    digest.update(data)


def _described(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    """What the digest of `sslkit.checkpoint` takes of a tensor beside its bytes."""
    return f"{name} torch.{_DTYPES[dtype].name} {shape}".encode()


def _check(header: tensor_header.Header) -> None:
    """ValueError if tensors or facts are not those of features."""
    entries, facts = header.entries, header.facts
    found = {name: (one.dtype, len(one.shape)) for name, one in entries.items()}
    labels = found.pop("labels", ("I64", 1))
    if found != {"h": ("F32", 2), "indices": ("I64", 1)} or labels not in (("I64", 1), ("I64", 2)):
        raise ValueError("its tensors are not h, indices and perhaps labels")
    if len({one.shape[0] for one in entries.values()}) > 1:
        raise ValueError("h, indices and labels are of different lengths")
    classes = facts.get("classes", ())
    named = classes is None or (isinstance(classes, list) and all(isinstance(one, str) for one in classes))
    if not named or not isinstance(facts.get("split"), str) or "format" not in facts:
        raise ValueError("it does not say of which split and classes it is")


def _digest(file: io.BufferedIOBase, header: tensor_header.Header, facts: Mapping[str, Any]) -> str:
    """That of the whole file, as `sslkit.checkpoint` computes it of tensors, in memory that does not grow with the file."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, entry in sorted(header.entries.items()):
        digest.update(_described(name, entry.dtype, entry.shape))
        file.seek(header.data + entry.begin)
        for at in range(entry.begin, entry.end, _READ):
            digest.update(file.read(min(_READ, entry.end - at)))
    return digest.hexdigest()


def _mapped(file: io.BufferedReader, data: int, entry: tensor_header.Entry) -> np.ndarray:
    """An array of the file; nothing is read before it is looked at."""
    dtype = _DTYPES[entry.dtype]
    if entry.begin == entry.end:
        return np.zeros(entry.shape, dtype)
    return np.memmap(file, dtype, mode="r", offset=data + entry.begin, shape=entry.shape)
