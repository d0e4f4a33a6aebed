"""Disk and memory: looked at before the first step, and one message where they do not suffice."""

import io
import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch
from rich.console import Console
from small import TEXT, newest_checkpoint
from torch import nn

from sslkit import checkpoint, gradient
from sslkit.errors import ResourceError
from sslkit.features_file import write_features
from sslkit.folder import RunFolder
from sslkit.optimizers.adamw import AdamW
from sslkit.optimizers.lars import LARS
from sslkit.optimizers.sgd import SGD
from sslkit.progress import Lines
from sslkit.recipe import Recipe
from sslkit.resources import checkpoint_bytes, explained, refuse_too_little_room
from sslkit.roles import parameter_groups
from sslkit.run import run

Usage = namedtuple("Usage", "total used free")


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def step(net, optimizer):
    net(torch.rand(6, 3, 4, 4)).square().mean().backward()
    optimizer.step()


class Restless(torch.optim.SGD):
    """An optimizer that looks at its numbers, which a tensor without memory has not."""

    def step(self, closure=None):
        assert all(p.grad.sum().item() is not None for group in self.param_groups for p in group["params"])
        super().step(closure)


@pytest.mark.parametrize("kind", [LARS, AdamW, SGD])
def test_the_size_is_known_before_the_first_step(kind):
    net = network()
    optimizer = kind(parameter_groups(net), 0.1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    estimated = checkpoint_bytes(net, optimizer)
    assert not optimizer.state
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())
    step(net, optimizer)
    assert checkpoint_bytes(net, optimizer) == estimated == sum(t.nbytes for t in checkpoint.state(net, optimizer).values())


def test_who_listens_to_steps_hears_of_none():
    net, heard = network(), []
    optimizer = LARS(parameter_groups(net), 0.1)
    optimizer.register_step_post_hook(lambda *_: heard.append(1))
    optimizer.register_step_pre_hook(lambda *_: heard.append(1))
    checkpoint_bytes(net, optimizer)
    assert not heard
    step(net, optimizer)
    assert len(heard) == 2


def test_an_optimizer_that_can_not_do_without_memory_is_taken_for_adamw():
    net = network()
    weights = sum(p.nbytes for p in net.parameters())
    buffers = sum(b.nbytes for b in net.buffers())
    assert checkpoint_bytes(net, Restless(parameter_groups(net), lr=0.1, momentum=0.9)) == 3 * weights + buffers


@pytest.mark.fault(
    "a disk that will not suffice",
    injected="less room than the checkpoints need",
    expected="refused before the first step",
    theme="resources",
)
def test_too_little_room_is_refused_to_the_byte(tmp_path, monkeypatch):
    net = network()
    optimizer = LARS(parameter_groups(net), 0.1)
    folder, size = RunFolder(tmp_path), checkpoint_bytes(net, optimizer)
    free = []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, free[0]))

    def refused(bytes_free, epochs=range(10), keep_every=5):
        free[:] = [bytes_free]
        try:
            refuse_too_little_room(folder, net, optimizer, epochs=epochs, keep_every=keep_every)
        except ResourceError as error:
            return str(error)
        return None

    assert refused(5 * size) is None  # three on the way, and after epochs 5 and 10
    assert "3 on the way and 2 that train.keep_every_epochs keeps" in refused(5 * size - 1)
    assert refused(4 * size, epochs=range(5, 10)) is None  # the one after epoch 5 is there already
    assert refused(4 * size - 1, epochs=range(5, 10))
    assert refused(0, epochs=range(10, 10)) is None
    folder.checkpoints.mkdir()
    (folder.checkpoints / "step_0000003.safetensors").write_bytes(bytes(size))
    assert refused(4 * size) is None
    assert refused(4 * size - 1)


def error_of(action):
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("it went well")


def allocate_too_much():
    torch.empty(1 << 50)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (allocate_too_much, "out of memory (can't allocate memory: you tried to allocate 4503599627370496 bytes"),
        (lambda: np.empty(1 << 58), "out of memory (Unable to allocate 2.00 EiB"),
        (lambda: [0] * (1 << 60), "out of memory (the system gave no more)"),
    ],
)
def test_want_of_memory_says_what_helps(tmp_path, action, says):
    error = error_of(action)
    with pytest.raises(ResourceError) as caught, explained(RunFolder(tmp_path)):
        raise error
    text = str(caught.value)
    assert says in text
    assert "--set train.micro_batch=N" in text
    assert "No checkpoint was written yet." in text
    assert "\n" not in text


@pytest.mark.fault(
    "a GPU without memory, a killed worker",
    injected="the errors that torch raises then",
    expected="what helps, and which checkpoint is intact",
    theme="resources",
)
def test_of_a_gpu_of_a_worker_and_of_the_disk(tmp_path):
    checkpoint.save(tmp_path / "checkpoints" / "step_0000003.safetensors", {"x": torch.ones(1)}, {"step": 3})
    for error, says in (
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
            "out of memory (CUDA out of memory. Tried",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "--set data.workers=0, or fewer"),
        (OSError(28, "No space left on device", "a.csv"), "a.csv: No space left on device."),
        (ResourceError("b: can't be written"), "b: can't be written"),
    ):
        with pytest.raises(ResourceError) as caught, explained(RunFolder(tmp_path)):
            raise error
        assert str(caught.value).startswith(says) or says in str(caught.value)
        assert "step_0000003.safetensors is intact, and the same command goes on from it." in str(caught.value)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not fit"), FileNotFoundError(2, "No such file", "x"), ValueError("x")]
)
def test_other_errors_are_left_as_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught, explained(RunFolder(tmp_path)):
        raise error
    assert caught.value is error


def started(folder):
    return run(Recipe.parse(TEXT, overrides=["evaluate=[]"]), folder, report=Lines(Console(file=io.StringIO())))


def test_a_run_looks_before_its_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 1000))
    with pytest.raises(ResourceError, match="the disk has 0.0 MiB free, and the checkpoints of this run need"):
        started(tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.fault(
    "memory that runs out at a step",
    injected="an allocation that is too large",
    expected="what helps, and which checkpoint is intact",
    theme="resources",
)
def test_a_run_out_of_memory_says_where_it_stands(tmp_path, monkeypatch):
    whole = gradient.whole

    def greedy(method, batch, step, **rest):
        if step == 4:
            allocate_too_much()
        return whole(method, batch, step, **rest)

    monkeypatch.setattr(gradient, "whole", greedy)
    with pytest.raises(ResourceError, match="out of memory .* is intact, and the same command goes on from it"):
        started(tmp_path)
    assert newest_checkpoint(tmp_path).name == "step_0000003.safetensors"


def test_a_file_of_features_that_did_not_get_whole_is_removed(tmp_path):
    def batches():
        yield np.zeros((2, 3), np.float32)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_features(tmp_path / "a.safetensors", batches(), indices=np.arange(4), labels=None, facts={})
    assert not list(tmp_path.iterdir())
