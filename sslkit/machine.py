"""The machine: where networks run, in what precision, how many workers prepare views, and how freed memory is kept."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

import torch

from sslkit import limits
from sslkit.gradient import Precision


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def num_workers(asked: object, *, processes: int | None = None) -> int:
    """The workers of `[data] workers` for a process that trains; "auto" is none without a GPU: they would take its cores.

    Args:
        asked: a number, or "auto".
        processes: how many train on this machine; by default as torchrun says.
    """
    if isinstance(asked, int):
        return asked
    processes = processes or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's
    return min(8, max(1, limits.cores().usable // processes - 1)) if torch.cuda.is_available() else 0


def precision(asked: Precision) -> Precision:
    """The precision of `[train] precision`; float32 on a CPU that only emulates bf16, several times slower."""
    return "fp32" if asked == "bf16" and device().type == "cpu" and not native_bf16() else asked


def keep_freed_memory() -> None:
    """Have the C library keep what a step frees for the next step, instead of giving it back to the system.

    The activations of a step on the CPU are blocks of many megabytes. By default each is mapped anew and its pages are cleared
    when they are first touched, in every step: a third of the time of a small network. Freed memory stays with the process, so
    its peak is what it holds. Only glibc has this call; elsewhere nothing happens.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # of malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(m_mmap_max, 0)  # take large blocks from the heap too,
    library.mallopt(m_trim_threshold, -1)  # never shrink it,
    library.mallopt(m_top_pad, 64 * 2**20)  # and grow it in large steps


def native_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself (AVX512-BF16, AMX, or Arm's bf16)."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
