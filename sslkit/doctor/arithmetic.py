"""Arithmetic: who multiplies matrices, with how many threads, on which devices."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sslkit import limits
from sslkit.doctor.findings import Asked, Finding, ok, size, warning

_DRIVER = Path("/proc/driver/nvidia/version")
_VARIABLES = ("OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "CUDA_", "PYTORCH_", "NCCL_")


def variables(_: Asked) -> Iterator[Finding]:
    """What the environment says to these libraries."""
    found = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)]
    yield ok("environment", " ".join(found) or f"no variable that begins with {', '.join(_VARIABLES)}")


def numpy_blas(_: Asked) -> Iterator[Finding]:
    """Who multiplies numpy's matrices."""
    import numpy as np

    about = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    try:
        from threadpoolctl import threadpool_info
    except ImportError:  # nothing that sslkit needs brings it
        threads = ""
    else:
        own = [pool for pool in threadpool_info() if "numpy" in pool["filepath"] and pool["user_api"] == "blas"]
        threads = "".join(f", {pool['num_threads']} threads, for {pool['architecture']}" for pool in own)
    yield ok("numpy's blas", f"{about['name']} {about['version']}{threads}")


def torch_blas(_: Asked) -> Iterator[Finding]:
    """Who multiplies torch's, and for which instructions its own code was chosen."""
    import torch

    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    onednn = "with" if torch.backends.mkldnn.is_available() else "without"  # type: ignore[no-untyped-call]
    capability = torch.backends.cpu.get_cpu_capability()
    yield ok("torch's blas", f"{found[1] if found else 'unknown'}, {onednn} oneDNN, instructions {capability}")


def torch_threads(_: Asked) -> Iterator[Finding]:
    """How many threads torch starts, and whether there is a core for each."""
    import torch

    threads, cores = torch.get_num_threads(), limits.cores().usable
    text = f"{threads} for {cores} {'core' if cores == 1 else 'cores'}"
    if threads > cores:
        yield warning("torch threads", text, f"They wait for each other: set OMP_NUM_THREADS={cores}.")
    elif threads < cores and (set_by := [name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ]):
        yield warning("torch threads", text, f"{' and '.join(set_by)} says so; without it all cores work.")
    else:
        yield ok("torch threads", text)


def devices(_: Asked) -> Iterator[Finding]:
    """Where networks run."""
    import torch

    for number in range(torch.cuda.device_count()):
        yield _gpu(number)
    if torch.cuda.device_count():
        return
    mps = " Apple's GPU (MPS) is there, and sslkit does not use it." if torch.backends.mps.is_available() else ""
    text = f"no CUDA device was found: networks run on the CPU.{mps}"
    if not _DRIVER.exists():
        yield ok("device", text)
    elif torch.version.cuda is None:
        yield warning("device", text, f"This machine has NVIDIA's driver, and torch {torch.__version__} is built without CUDA.")
    else:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = f"CUDA_VISIBLE_DEVICES={hidden!r} hides it, or it" if hidden is not None else "it"
        advice = f"This machine has NVIDIA's driver: {why} is older than CUDA {torch.version.cuda}, which torch was built for."
        yield warning("device", text, advice)


def _gpu(number: int) -> Finding:
    import torch

    about = torch.cuda.get_device_properties(number)
    free, total = torch.cuda.mem_get_info(number)
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    driver = re.search(r"Kernel Module\s+([\d.]+)", _DRIVER.read_text(encoding="utf-8")) if _DRIVER.exists() else None
    text = (
        f"{about.name}, {size(total)}, {size(free)} free, compute capability {about.major}.{about.minor}, "
        f"CUDA {torch.version.cuda}, cuDNN {cudnn}, driver {driver[1] if driver else 'unknown'}"
    )
    return ok(f"cuda:{number}", text)


def precision(_: Asked) -> Iterator[Finding]:
    """Float32 is computed everywhere; whether bf16 is worth asking for."""
    import torch

    from sslkit import machine

    if machine.device().type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = machine.native_bf16()
    bf16 = "bf16 in hardware" if native else "bf16 only emulated, so a recipe that asks for it is computed in fp32"
    if not native and machine.device().type == "cuda":
        bf16 = "bf16 only emulated, and slow"
    yield ok("precision", f"fp32; {bf16}")


def trial(_: Asked) -> Iterator[Finding]:
    """One small convolution, forwards and backwards: what is listed can still fail when it is used."""
    import torch

    from sslkit import machine

    device = machine.device()
    images = torch.ones(2, 3, 8, 8, device=device)
    network = torch.nn.Conv2d(3, 4, 3, device=device)
    network(images).sum().backward()
    assert network.weight.grad is not None
    yield ok("trial", f"a convolution and its gradient were computed on {device}")
