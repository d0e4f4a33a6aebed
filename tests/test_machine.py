"""What is read off the machine."""

from pathlib import Path

import pytest
import torch

from sslkit import machine


@pytest.mark.parametrize(
    ("flags", "native"), [("fpu avx2 avx512f", False), ("fpu avx512_bf16", True), ("fpu amx_bf16", True), ("asimd bf16", True)]
)
def test_native_bf16_is_read_off_the_processor(monkeypatch, flags, native):
    monkeypatch.setattr(machine.platform, "system", lambda: "Linux")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"processor : 0\nflags : {flags}\n")
    assert machine.native_bf16() is native


def test_bf16_without_native_support_is_computed_in_fp32(monkeypatch):
    monkeypatch.setattr(machine, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(machine, "native_bf16", lambda: False)
    assert machine.precision("bf16") == "fp32"
    monkeypatch.setattr(machine, "native_bf16", lambda: True)
    assert machine.precision("bf16") == "bf16"
    monkeypatch.setattr(machine, "device", lambda: torch.device("cuda"))
    assert machine.precision("bf16") == "bf16"


def test_workers(monkeypatch):
    assert machine.num_workers(3) == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.num_workers("auto") == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert 1 <= machine.num_workers("auto") <= 8


def test_keeping_freed_memory_changes_no_number():
    def numbers():
        torch.manual_seed(0)
        return torch.nn.functional.conv2d(torch.rand(8, 16, 64, 64), torch.rand(16, 16, 3, 3)).sum()

    before = numbers()
    machine.keep_freed_memory()
    assert torch.equal(numbers(), before)
