"""Checkpoints: whole or absent, verified, and everything put back."""

import json
import pickle

import pytest
import torch
from torch import nn

from sslkit import checkpoint
from sslkit.errors import CheckpointError
from sslkit.optimizers.adamw import AdamW
from sslkit.optimizers.lars import LARS
from sslkit.roles import parameter_groups


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2)).to(
        memory_format=torch.channels_last
    )


def steps(net, optimizer, count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        net(torch.rand(6, 3, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("kind", [LARS, AdamW])
def test_a_training_that_goes_on_from_a_file_has_the_same_bits(kind, tmp_path):
    whole = network()
    optimizer = kind(parameter_groups(whole), 0.1)
    steps(whole, optimizer, 3)
    checkpoint.save(tmp_path / "a.safetensors", checkpoint.state(whole, optimizer), {"step": 3})
    other = network(seed=5)
    resumed = kind(parameter_groups(other), 0.1)
    found = checkpoint.load(tmp_path / "a.safetensors")
    assert found.facts == {"step": 3}
    checkpoint.restore(found, other, resumed)
    for net, opt in ((whole, optimizer), (other, resumed)):
        steps(net, opt, 3, seed=2)
    one, two = checkpoint.state(whole, optimizer), checkpoint.state(other, resumed)
    assert one.keys() == two.keys()
    assert any(name.startswith("optimizer/") for name in one)
    for name in one:
        assert torch.equal(one[name], two[name]), name


def test_the_same_state_is_the_same_bytes(tmp_path):
    net = network()
    optimizer = LARS(parameter_groups(net), 0.1)
    for name in ("a", "b"):
        checkpoint.save(tmp_path / name, checkpoint.state(net, optimizer), {"step": 1, "recipe": {"b": 1, "a": 2}})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def saved(path, value=1.0):
    checkpoint.save(path, {"x": torch.full((50,), value)}, {"step": int(value)})
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-7],
        lambda data: data + b"x",
        lambda data: b"",
        lambda data: b"not a checkpoint at all",
        lambda data: pickle.dumps({"x": 1}),
        lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],  # one flipped bit in the weights
        lambda data: data.replace(b'\\"step\\": 1', b'\\"step\\": 2'),  # one changed fact
        lambda data: data.replace(b"sslkit", b"tlskit"),
        lambda data: b"\xff" * 8 + data[8:],
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        checkpoint.load(path)


def test_the_newest_that_verifies_is_used(tmp_path):
    assert checkpoint.newest(tmp_path) == (None, [])
    for value, name in [(1, "epoch_0001"), (2, "epoch_0002"), (3, "last")]:
        saved(tmp_path / f"{name}.safetensors", value)
    assert checkpoint.newest(tmp_path)[0].facts["step"] == 3
    for name, step in [("last", 2), ("epoch_0002", 1)]:
        (tmp_path / f"{name}.safetensors").write_bytes(b"torn")
        found, refused = checkpoint.newest(tmp_path)
        assert found.facts["step"] == step
    assert len(refused) == 2


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left on device .* MiB free\)\. a\.safetensors from before is intact"):
        saved(path, 2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_another_network_is_refused_in_one_sentence(tmp_path):
    net = network()
    optimizer = LARS(parameter_groups(net), 0.1)
    checkpoint.save(tmp_path / "a", checkpoint.state(net, optimizer), {})
    other = nn.Linear(3, 3)
    with pytest.raises(CheckpointError, match="holds another network"):
        checkpoint.restore(checkpoint.load(tmp_path / "a"), other, LARS(parameter_groups(other), 0.1))


def test_tied_weights_are_saved(tmp_path):
    tensor = torch.ones(3)
    checkpoint.save(tmp_path / "a", {"x": tensor, "y": tensor}, {})
    assert checkpoint.load(tmp_path / "a").tensors.keys() == {"x", "y"}


def test_facts_are_one_metadata_key(tmp_path):
    data = saved(tmp_path / "a").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["sslkit"]
