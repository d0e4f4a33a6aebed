"""Weights & Biases without a network: what sslkit asks of every tracker, and what is kept to be sent later."""

import struct

import pytest
from sslkit_wandb import WandB
from wandb.proto import wandb_internal_pb2

from sslkit.testing import conformance

test_offline = conformance("trackers", "wandb", parameters={"mode": "offline"})
test_disabled = conformance("trackers", "wandb", parameters={"mode": "disabled"})


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))


_BLOCK, _HEADER = 32_768, 7  # bytes


def pieces(data):
    """The records of a log of LevelDB's form, which a `.wandb` file is behind its first seven bytes."""
    at, record = _HEADER, b""
    while at + _HEADER <= len(data):
        if (room := _BLOCK - at % _BLOCK) < _HEADER:  # no header fits: the rest of a block is empty
            at += room
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + _HEADER])
        record += data[at + _HEADER : at + _HEADER + length]
        at += _HEADER + length
        if kind in (1, 4):  # whole, or its last piece
            yield record
            record = b""


def records(folder):
    """What `wandb sync` would send, a run a time."""
    for path in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        for one in pieces(path.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(one)
            yield record


def test_numbers_steps_and_recipe_are_kept(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "resolved.toml").write_text('loss = { name = "nt_xent", temperature = 0.2 }\n')
    tracker = WandB(folder, 0, mode="offline")
    tracker(10, {"loss": 2.5})
    tracker(20, {"loss": 1.5, "knn_top1": 0.75})
    tracker.close()
    found = list(records(folder))
    run = next(one.run for one in found if one.WhichOneof("record_type") == "run")  # it may be noted again at the end
    assert run.display_name == "mine"
    assert run.project == "sslkit"
    assert run.run_id == (folder / "wandb_id").read_text()
    assert any(item.key == "loss" and "nt_xent" in item.value_json for item in run.config.update)
    history = [one.history for one in found if one.WhichOneof("record_type") == "history"]
    values = [{(item.key or "/".join(item.nested_key)): item.value_json for item in one.item} for one in history]
    assert [(one.step.num, value["loss"]) for one, value in zip(history, values, strict=True)] == [(10, "2.5"), (20, "1.5")]
    assert values[1]["knn_top1"] == "0.75"


def test_a_resume_is_the_same_run(tmp_path):
    for start in (0, 10):
        tracker = WandB(tmp_path, start, mode="offline")
        tracker(start + 10, {"loss": 1.0})
        tracker.close()
    runs = {one.run.run_id for one in records(tmp_path) if one.WhichOneof("record_type") == "run"}
    assert len(runs) == 1
