"""Checkpoints, features and encoders changed at random, half of them with a right digest, and the readers of all three."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import mutations
import numpy as np
import torch
from safetensors.torch import load, save
from torch import nn

from sslkit import checkpoint, encoder, tensor_header
from sslkit.errors import SslkitError
from sslkit.features_file import read_features, write_features
from sslkit.optimizers.adamw import AdamW
from sslkit.registry import registry_of
from sslkit.roles import parameter_groups

PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"1e400", b"-1", b"\xff", b"\0" * 8, b"[" * 100,
    b"9" * 50, b"\x80\x02", b"PK\x03\x04", b'"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},', b'"__metadata__":{},',
]  # fmt: skip
NAMES = [
    "__metadata__", "sslkit", "dtype", "shape", "data_offsets", "F32", "F64", "F16", "BF16", "BOOL", "I64", "U8",
    "C64", "F8_E4M3", "method/weight", "optimizer/weight/step", "h", "labels", "indices", "kind", "step", "format",
    "digest", "encoder", "features", "backbone", "view", "channels", "name", "p", "size", "resnet", "center_crop",
    "depth", "width", "split", "classes",
]  # fmt: skip


def network() -> nn.Module:
    """What the checkpoints are of."""
    torch.manual_seed(0)
    return nn.Linear(4, 2)


def _checkpoint(path: Path) -> None:
    net = network()
    optimizer = AdamW(parameter_groups(net), 0.1)
    net(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    checkpoint.save(path, checkpoint.state(net, optimizer), {"kind": "checkpoint", "step": 3, "recipe": {"a": [1, {"b": 2.0}]}})


def _features(path: Path) -> None:
    h = np.arange(12, dtype=np.float32).reshape(4, 3)
    facts = {"split": "test", "classes": ["a", "b"], "kind": "features"}
    write_features(path, iter([h]), indices=np.arange(4), labels=np.arange(4) % 2, facts=facts)


def _encoder(path: Path) -> None:
    parameters = {"depth": 18, "width": 0.03125, "stem": "small"}
    net = registry_of("backbones").build("resnet", registry_of("backbones").filled("resnet", parameters)[0], in_channels=3)
    view = [{"name": "center_crop", "size": 4, "p": 1.0}]
    encoder.save(path, net, facts={"backbone": {"name": "resnet", **parameters}, "view": view, "channels": 3})


class Cases:
    """Case number i of a seed is always the same bytes."""

    suffix = ".safetensors"

    def __init__(self) -> None:
        self.files: list[bytes] = []
        with tempfile.TemporaryDirectory() as folder:
            for make in (_checkpoint, _features, _encoder):
                path = Path(folder) / "good.safetensors"
                make(path)
                self.files.append(path.read_bytes())

    def make(self, rng: random.Random) -> bytes:
        """The bytes of a file."""
        data = rng.choice(self.files)
        how = rng.random()
        length = 8 + int.from_bytes(data[:8], "little")
        if how < 0.3:
            return mutations.mangled(data, rng, PIECES, until=rng.choice((8, length, None)))
        if how < 0.6:
            header = mutations.changed(json.loads(data[8:length]), rng, NAMES)
            text = json.dumps(header).encode()
            return len(text).to_bytes(8, "little") + text + data[length:]
        return self._signed(data, rng)

    @staticmethod
    def _signed(data: bytes, rng: random.Random) -> bytes:
        """A file with other facts and tensors, and with the digest of them."""
        tensors: dict[str, Any] = load(data)
        length = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][tensor_header.KEY])
        del facts["digest"]
        if rng.random() < 0.8:
            facts = mutations.changed(facts, rng, NAMES)
        if rng.random() < 0.5:
            name = rng.choice([*tensors])
            other = rng.choice((torch.ones(2), torch.zeros(0, 3), torch.tensor(torch.nan), torch.ones(1, 1, 1, 1).bool()))
            tensors[name if rng.random() < 0.5 else rng.choice(NAMES)] = other.to(
                rng.choice((other.dtype, torch.float16, torch.int64))
            )
        if isinstance(facts, dict):
            facts["digest"] = checkpoint.digest(tensors, facts)
        return save(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            {tensor_header.KEY: json.dumps(facts, sort_keys=True)},
        )

    def read(self, path: Path, rng: random.Random) -> None:
        """Give it to all three readers; what one of them accepts is success."""
        found: list[SslkitError] = []
        for read in (self._read_checkpoint, self._read_features, encoder.load_encoder):
            try:
                read(path)
            except SslkitError as error:
                found.append(error)
        if len(found) == 3:
            raise found[rng.randrange(3)]

    @staticmethod
    def _read_checkpoint(path: Path) -> None:
        step = checkpoint.claimed_step(path)
        found = checkpoint.load(path)
        assert checkpoint.step_of(found) == step, "the step that it claims is another one"
        net = network()
        checkpoint.restore(found, net, AdamW(parameter_groups(net), 0.1))

    @staticmethod
    def _read_features(path: Path) -> None:
        features, _ = read_features(path)
        assert len(features.h) == len(features.indices)
        features.h.sum()
