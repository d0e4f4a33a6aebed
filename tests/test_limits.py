"""Limits: what control groups of both versions say, in files that are written here."""

import os

import pytest

from sslkit import limits

GIB = 2**30
MEMINFO = f"MemTotal: {16 * 2**20} kB\nMemFree: 7 kB\nMemAvailable: {12 * 2**20} kB\n"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """`system(cgroup, **files)` writes /proc and /sys/fs/cgroup; names of files have `__` for a slash."""
    monkeypatch.setattr(limits, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(limits, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)

    def write(cgroup, files):
        contents = {"proc/meminfo": MEMINFO, "proc/self/cgroup": cgroup}
        for name, text in {**contents, **{f"groups/{name}": text for name, text in files.items()}}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_without_limits(system):
    system("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.current": "5\n"})
    assert limits.cores() == (8, 6, None)
    assert limits.cores().usable == 6
    assert limits.memory() == (16 * GIB, 12 * GIB, None)


def test_version_2_and_the_tightest_of_the_groups_above(system):
    files = {
        "outer/cpu.max": "150000 100000\n",
        "outer/inner/cpu.max": "400000 100000\n",
        "outer/memory.max": f"{4 * GIB}\n",
        "outer/memory.current": f"{3 * GIB}\n",
        "outer/memory.stat": f"anon 5\ninactive_file {GIB}\n",
        "outer/inner/memory.max": "max\n",
    }
    system("0::/outer/inner\n", files)
    assert limits.cores() == (8, 6, 1.5)
    assert limits.cores().usable == 2
    assert limits.memory() == (16 * GIB, 2 * GIB, 4 * GIB)  # 4 - (3 - 1), since cached files can go


def test_version_1_in_a_container_that_does_not_see_its_own_path(system):
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "300000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": f"{2 * GIB}\n",
        "memory/memory.usage_in_bytes": f"{3 * GIB}\n",
    }
    system("5:cpu,cpuacct:/docker/1a\n4:memory:/docker/1a\n1:name=systemd:/\n", files)
    assert limits.cores() == (8, 6, 3.0)
    assert limits.memory() == (16 * GIB, 0, 2 * GIB)


def test_version_1_without_limits(system):
    files = {
        "cpu/cpu.cfs_quota_us": "-1\n",
        "cpu/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    system("5:cpu:/\n4:memory:/\n0::/\n", files)
    assert limits.cores().quota is None
    assert limits.memory() == (16 * GIB, 12 * GIB, None)


def test_where_there_is_no_proc(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_PROC", tmp_path / "none")
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}[name])
    assert limits.memory() == (40960, None, None)
    assert limits.cores().quota is None


def test_this_machine_has_some():
    assert 1 <= limits.cores().usable <= limits.cores().machine
    found = limits.memory()
    assert found.available is None or 0 < found.available <= found.total
