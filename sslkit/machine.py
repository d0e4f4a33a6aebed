"""The machine: where networks run, how many workers prepare views, and what precision it computes in."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from sslkit.gradient import Precision


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def num_workers(asked: object) -> int:
    """The workers of `[data] workers`; "auto" is none without a GPU, where they would take the cores that train."""
    if isinstance(asked, int):
        return asked
    return min(8, max(1, (os.cpu_count() or 2) - 1)) if torch.cuda.is_available() else 0


def precision(asked: Precision) -> Precision:
    """The precision of `[train] precision`; float32 on a CPU that only emulates bf16, several times slower."""
    return "fp32" if asked == "bf16" and device().type == "cpu" and not native_bf16() else asked


def native_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself (AVX512-BF16, AMX, or Arm's bf16)."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
