"""Hostile files of features."""

import hashlib
import json

import numpy as np
from cases import Case, entry, evil_pickle, evil_zip, pipe, put, sparse, tensors

from sslkit.features_file import write_features

NAME = "features.safetensors"


def good(folder):
    path = folder / NAME
    facts = {"split": "test", "classes": ["a", "b"], "kind": "features"}
    h = np.arange(12, dtype=np.float32).reshape(4, 3)
    write_features(path, iter([h[:3], h[3:]]), indices=np.arange(4), labels=np.arange(4) % 2, facts=facts)
    return path


def changed(old, new):
    """The good file with some bytes put in place of others, of the same number."""
    assert len(old) == len(new)
    return put(NAME, lambda folder: good(folder).read_bytes().replace(old, new, 1))


def without_digest(folder):
    data = good(folder).read_bytes()
    at = data.index(b'\\"digest') + 2
    return data[:at] + b"x" + data[at + 1 :]


def with_facts(**facts):
    """A file of three rows with any facts, and a right digest."""
    named = {"h": ([3, 2], "F32"), "indices": ([3], "I64"), "labels": ([3], "I64")}

    def make(folder):
        content = {"split": "test", "classes": None, "format": 1, **facts}
        shapes = content.pop("shapes", named)
        digest, end, header, data = hashlib.sha256(json.dumps(content, sort_keys=True).encode()), 0, {}, b""
        for name, (shape, dtype) in shapes.items():
            size = int(np.prod(shape)) * (4 if dtype == "F32" else 8)
            header[name], end = entry(end, end + size, shape, dtype), end + size
            data += bytes(size)
            digest.update(f"{name} torch.{'float32' if dtype == 'F32' else 'int64'} {tuple(shape)}".encode() + bytes(size))
        return tensors(header, data, {**content, "digest": digest.hexdigest()})

    return put(NAME, make)


ROWS = {"h": ([3, 2], "F32"), "indices": ([3], "I64")}

CASES = {
    "good": Case(good, None),
    "made by hand": Case(with_facts(), None),
    "pickle": Case(put(NAME, evil_pickle), "it is a pickle"),
    "torch.save": Case(put(NAME, evil_zip), "it is a zip archive"),
    "array of numpy with objects": Case(put(NAME, lambda folder: b"\x93NUMPY\x01\x00" + evil_pickle(folder)), "it is an array of numpy"),
    "cut off": Case(put(NAME, lambda folder: good(folder).read_bytes()[:-8]), "its header speaks of"),
    "header alone": Case(put(NAME, lambda folder: good(folder).read_bytes()[:40]), "cut off, or no safetensors"),
    "one bit flipped": Case(put(NAME, lambda folder: bytes([*(data := good(folder).read_bytes())[:-1], data[-1] ^ 1])), "does not match its digest"),
    "another class": Case(changed(b'\\"a\\"', b'\\"c\\"'), "does not match its digest"),
    "no digest": Case(put(NAME, without_digest), "does not match its digest"),
    "a terabyte that is not there": Case(sparse(NAME, 2**41), "cut off, or no safetensors"),
    "wider than it is": Case(changed(b'"shape": [4, 3]', b'"shape": [9, 9]'), "does not fit its shape"),
    "h of whole numbers": Case(changed(b'"F32"', b'"I32"'), "its tensors are not h"),
    "later format": Case(with_facts(format=7), "is of format 7; a later version"),
    "no split": Case(with_facts(split=None), "does not say of which split"),
    "classes that are numbers": Case(with_facts(classes=[1, 2]), "does not say of which split"),
    "classes that are a word": Case(with_facts(classes="ab"), "does not say of which split"),
    "more labels than rows": Case(with_facts(shapes={**ROWS, "labels": ([9], "I64")}), "of different lengths"),
    "labels of three axes": Case(with_facts(shapes={**ROWS, "labels": ([3, 1, 1], "I64")}), "its tensors are not h"),
    "no rows": Case(with_facts(shapes={"h": ([0, 2], "F32"), "indices": ([0], "I64")}), None),
    "another tensor": Case(with_facts(shapes={**ROWS, "more": ([1], "I64")}), "its tensors are not h"),
    "pipe": Case(pipe(NAME), "it is a pipe, not a file"),
}  # fmt: skip
