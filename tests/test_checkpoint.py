"""Checkpoints: whole or absent, verified, and everything put back."""

import json
import os
import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

from sslkit import checkpoint, checkpoint_folder
from sslkit.errors import CheckpointError, NonFiniteError, ResourceError
from sslkit.folder import RunFolder
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
@pytest.mark.fault(
    "a checkpoint that is cut, longer, empty or changed",
    injected="nine kinds of damage",
    expected="refused",
    theme="files",
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        checkpoint.load(path)


@pytest.mark.fault(
    "the newest checkpoints are damaged",
    injected="files that do not match their digest",
    expected="the newest whole one is used, the damaged are moved to `damaged/`",
    theme="process",
)
def test_the_newest_that_verifies_is_used_and_newer_ones_are_moved_aside(tmp_path):
    assert checkpoint_folder.newest_whole(tmp_path) == (None, [])
    assert checkpoint_folder.newest(tmp_path) is None
    for value, name in [(1, "epoch_0001"), (2, "last"), (3, "step_0000003"), (4, "epoch_0009")]:
        saved(tmp_path / f"{name}.safetensors", value)
    assert checkpoint_folder.newest(tmp_path).facts["step"] == 4
    for name, step in [("epoch_0009", 3), ("step_0000003", 2), ("last", 1)]:
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(b"torn")
        with pytest.raises(CheckpointError, match=name):
            checkpoint_folder.newest(tmp_path)
        found, [sentence] = checkpoint_folder.newest_whole(tmp_path)
        assert found.facts["step"] == step
        assert f"damaged/{name}.safetensors" in sentence
        assert not path.exists()
    saved(tmp_path / "last.safetensors", 2).write_bytes(b"torn again")
    checkpoint_folder.newest_whole(tmp_path)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "damaged").iterdir()}
    assert kept == {
        "epoch_0009.safetensors": b"torn", "step_0000003.safetensors": b"torn",
        "last.safetensors": b"torn", "last-2.safetensors": b"torn again",
    }  # fmt: skip


@pytest.mark.fault(
    "one bit of the newest checkpoint is flipped",
    injected="a byte changed in the file",
    expected="noticed, and the one before it used",
    theme="process",
)
def test_a_flipped_bit_in_the_newest_is_noticed_too(tmp_path):
    saved(tmp_path / "a.safetensors", 1)
    path = saved(tmp_path / "b.safetensors", 2)
    data = path.read_bytes()
    path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    found, [sentence] = checkpoint_folder.newest_whole(tmp_path)
    assert found.path.name == "a.safetensors"
    assert "does not match its digest" in sentence


@pytest.mark.fault(
    "every checkpoint is damaged",
    injected="all files changed",
    expected="an error; the files stay where they are",
    theme="process",
)
def test_where_none_verifies_they_stay(tmp_path):
    """Moved away, the next start would begin at step 0 without a word."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"(?s)b\.safetensors: .*a\.safetensors: .*start anew with --fresh"):
        checkpoint_folder.newest_whole(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_the_newest_two_on_the_way_stay_and_what_is_kept(tmp_path):
    names = ["last", "epoch_0001", "step_0000001", "step_0000002", "step_10000000", "notes"]
    for name in names:
        (tmp_path / f"{name}.safetensors").touch()
        checkpoint_folder.purge(tmp_path)
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {"epoch_0001", "step_0000002", "step_10000000", "notes"}


@pytest.mark.fault(
    "a half-written file of a killed write",
    injected="an empty temporary file in each folder of a run",
    expected="it is removed, the checkpoint and foreign files stay",
    theme="process",
)
def test_what_a_killed_write_left_is_removed(tmp_path):
    folder = RunFolder(tmp_path)
    kept = saved(folder.checkpoints / "step_0000001.safetensors")
    for place in ("", "checkpoints", "evaluations", "features"):
        (tmp_path / place).mkdir(exist_ok=True)
        (tmp_path / place / ".step_0000002.safetensors.tmp").touch()
    (tmp_path / ".mine").touch()
    folder.tidy()
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [tmp_path / ".mine", kept]


def test_what_a_last_checkpoint_is_while_there_is_one_other(tmp_path):
    for name in ("last", "step_0000001"):
        (tmp_path / f"{name}.safetensors").touch()
    checkpoint_folder.purge(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def header(text):
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize("step", ["null", "NaN", '"9"', "1e400"])
def test_a_step_that_is_no_number_comes_first_too(tmp_path, step):
    saved(tmp_path / "a.safetensors", 1)
    (tmp_path / "b.safetensors").write_bytes(header(json.dumps({"__metadata__": {"sslkit": f'{{"step": {step}}}'}}).encode()))
    assert checkpoint_folder.newest_first(tmp_path)[0].name == "b.safetensors"


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, header(b"[]"), header(b"{}")])
def test_what_speaks_of_no_step_comes_first(tmp_path, data):
    saved(tmp_path / "a.safetensors", 1)
    (tmp_path / "b.safetensors").write_bytes(data)
    assert [path.name for path in checkpoint_folder.newest_first(tmp_path)] == ["b.safetensors", "a.safetensors"]


@pytest.mark.fault(
    "a full disk at a save",
    injected="the sync fails with ENOSPC",
    expected="the file from before stays, no temporary one; the message says what is free",
    theme="resources",
)
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match=r"No space left on device .* MiB free\)\. a\.safetensors from before is intact"):
        saved(path, 2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.fault(
    "a checkpoint of another network",
    injected="loaded into a smaller one",
    expected="refused in one sentence",
    theme="files",
)
def test_another_network_is_refused_in_one_sentence(tmp_path):
    net = network()
    optimizer = LARS(parameter_groups(net), 0.1)
    checkpoint.save(tmp_path / "a", checkpoint.state(net, optimizer), {})
    other = nn.Linear(3, 3)
    with pytest.raises(CheckpointError, match="holds another network"):
        checkpoint.restore(checkpoint.load(tmp_path / "a"), other, LARS(parameter_groups(other), 0.1))


def test_another_network_is_told_by_a_count_and_the_first_name(tmp_path):
    deep, shallow = (nn.Sequential(*(nn.Linear(2, 2) for _ in range(depth))) for depth in (90, 3))
    for net, other, says in ((deep, shallow, "are not the network's"), (shallow, deep, "are missing")):
        checkpoint.save(tmp_path / "a", {f"method/{name}": tensor for name, tensor in net.state_dict().items()}, {})
        with pytest.raises(
            CheckpointError, match=f"another network: 174 weights and buffers {says}, first '[0-9]+.(weight|bias)'$"
        ):
            checkpoint.restore_weights(checkpoint.load(tmp_path / "a"), other)


def test_tied_weights_are_saved(tmp_path):
    tensor = torch.ones(3)
    checkpoint.save(tmp_path / "a", {"x": tensor, "y": tensor}, {})
    assert checkpoint.load(tmp_path / "a").tensors.keys() == {"x", "y"}


def test_facts_are_one_metadata_key(tmp_path):
    data = saved(tmp_path / "a").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["sslkit"]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float8_e5m2, torch.complex64])
@pytest.mark.fault(
    "weights that are not finite at a save",
    injected="NaN and infinities in several types",
    expected="not written, the file from before stays",
    theme="files",
)
def test_what_is_not_finite_is_never_written(tmp_path, value, dtype):
    path = saved(tmp_path / "a.safetensors")
    before = path.read_bytes()
    tensors = {"a": torch.ones(3), "b": torch.full((3,), value).to(dtype), "c": torch.full((3,), torch.nan)}
    with pytest.raises(NonFiniteError, match=r"a\.safetensors: is not written: 'b' holds NaN or infinity"):
        checkpoint.save(path, tensors, {"step": 1})
    assert path.read_bytes() == before
    checkpoint.save(path, {"scores": tensors["b"]}, {"kind": "evaluation"})  # what an evaluation says may be infinite
    assert checkpoint.load(path).tensors.keys() == {"scores"}


def test_one_number_of_a_large_tensor_is_looked_at(tmp_path):
    weights = torch.zeros(1500, 1500)
    weights[-1, -1] = torch.nan
    with pytest.raises(NonFiniteError):
        checkpoint.save(tmp_path / "a.safetensors", {"x": weights}, {})


def test_files_from_before_the_format_was_noted_are_read(tmp_path):
    tensors = {"x": torch.ones(2)}
    facts = {"step": 1}
    content = {**facts, "digest": checkpoint.digest(tensors, facts)}
    (tmp_path / "a").write_bytes(safetensors.torch.save(tensors, {"sslkit": json.dumps(content)}))
    assert checkpoint.load(tmp_path / "a").facts == facts


@pytest.mark.fault(
    "a link at the place of a temporary file",
    injected="made before the write",
    expected="not followed",
    theme="files",
)
def test_a_link_at_the_place_of_a_half_written_file_is_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / ".a.tmp").symlink_to(mine)
    saved(tmp_path / "a")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "a").is_symlink()
