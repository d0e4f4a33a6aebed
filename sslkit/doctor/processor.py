"""Processor: the system, its processor, and how much of that is ours."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import sslkit
from sslkit import limits
from sslkit.doctor.findings import Asked, Finding, ok, warning

_CPUINFO = Path("/proc/cpuinfo")
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2", "avx", "sve", "asimd")  # the wider or newer first


def versions(_: Asked) -> Iterator[Finding]:
    """Sslkit and the Python that runs it."""
    yield ok("sslkit", f"{sslkit.__version__}, from {Path(sslkit.__file__).parent}")
    yield ok("python", f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}")


def system(_: Asked) -> Iterator[Finding]:
    """The system: its kind, its release, and what is told of the distribution."""
    name = f"{platform.system()} {platform.release()}, {platform.machine()}"
    try:
        name += f", {platform.freedesktop_os_release().get('PRETTY_NAME', 'a distribution without a name')}"
    except OSError:  # macOS, and small containers
        name += f", {platform.mac_ver()[0]}" if platform.mac_ver()[0] else ""
    library, version = platform.libc_ver()
    yield ok("system", f"{name}, {library} {version}" if library else name)


def processor(_: Asked) -> Iterator[Finding]:
    """Its model, and the instructions that decide how fast networks are."""
    lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines() if _CPUINFO.exists() else []
    about = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    model = about.get("model name") or platform.processor() or platform.machine()
    flags = about.get("flags", about.get("Features", "")).split()
    found = [name for name in _INSTRUCTIONS if name in flags]
    text = f"{model}; {', '.join(found) or 'no vector instructions known of'}"
    if flags and platform.machine() in ("x86_64", "AMD64") and "avx2" not in found:
        yield warning("processor", text, "Without AVX2 networks are several times slower; take another machine.")
    else:
        yield ok("processor", text)


def cores(_: Asked) -> Iterator[Finding]:
    """How many may be used, and what forbids the others."""
    found = limits.cores()
    bounds = [f"{found.affinity} allowed to this process (taskset, cpuset)"] if found.affinity < found.machine else []
    bounds += [f"{found.quota:g} paid for by its control group"] if found.quota else []
    text = f"{found.usable} usable of {found.machine}{': ' if bounds else ''}{', '.join(bounds)}"
    if found.quota and found.quota < found.affinity:
        advice = f"Torch starts a thread for each of {found.affinity}: set OMP_NUM_THREADS={found.usable}, or raise the limit."
        yield warning("cores", text, advice)
    else:
        yield ok("cores", text)
