"""Limits: how many cores and how much memory the system lets this process have, which may be less than the machine has.

Containers and schedulers limit processes by control groups (man 7 cgroups), of which there are two versions in use.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_GROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


class Cores(NamedTuple):
    """Cores of the machine, those that this process may run on, and how many its control group pays for, or None."""

    machine: int
    affinity: int
    quota: float | None

    @property
    def usable(self) -> int:
        """How many can work at once; a part of one counts as one."""
        return min(self.affinity, math.ceil(self.quota or self.affinity))


class Memory(NamedTuple):
    """Bytes: of the machine, what can be had now, and the control group's limit; None where the system tells of none."""

    total: int
    available: int | None
    limit: int | None


def cores() -> Cores:
    """The cores that this process may use."""
    machine = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    quotas = [quota for group in _groups("cpu") if (quota := _quota(group)) is not None]
    return Cores(machine, affinity, min(quotas, default=None))


def memory() -> Memory:
    """The memory that this process may have."""
    try:
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:  # not Linux
        return Memory(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None, None)
    table = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    total, available = table["MemTotal"], table["MemAvailable"]
    limits = []
    for group in _groups("memory"):
        limit = _number(group, "memory.max", "memory.limit_in_bytes")
        if limit is not None and limit < total:  # without a limit version 1 has a number that no machine reaches
            limits.append(limit)
            available = min(available, max(0, limit - _in_use(group)))
    return Memory(total, available, min(limits, default=None))


def _groups(controller: str) -> Iterator[Path]:
    """The folders of the control groups that this process is in, the innermost first."""
    try:
        lines = (_PROC / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _GROUPS / controllers  # of version 2, which has one tree for all, the empty word
        inside = root / path.lstrip("/")  # a container sees its own group as the root, and need not see this path
        yield from (one for one in (inside, *inside.parents) if one.is_relative_to(root) and one.is_dir())


def _quota(group: Path) -> float | None:
    """Cores that a group may use on average."""
    if (group / "cpu.max").is_file():
        given, period = (group / "cpu.max").read_text(encoding="ascii").split()
        return None if given == "max" else int(given) / int(period)
    quota, period_us = _number(group, "cpu.cfs_quota_us"), _number(group, "cpu.cfs_period_us")
    return quota / period_us if quota and period_us and quota > 0 else None


def _in_use(group: Path) -> int:
    """Bytes that a group has and that can't be taken back; files that are only cached can."""
    used = _number(group, "memory.current", "memory.usage_in_bytes") or 0
    try:
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return used
    table = dict(line.split() for line in lines)
    return used - int(table.get("total_inactive_file", table.get("inactive_file", 0)))


def _number(group: Path, *names: str) -> int | None:
    """What the first of these files that is there says; None for `max`, and without any."""
    for name in names:
        if (group / name).is_file():
            text = (group / name).read_text(encoding="ascii").strip()
            return None if text == "max" else int(text)
    return None
