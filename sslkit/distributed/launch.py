"""Launch: start a command in several processes on this machine, under the elastic agent of torch, as torchrun does."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from sslkit.errors import RankLost

PREEMPTED = 75  # exit status: stopped by the system, saved, to be started again
_TIME_TO_SAVE = 600  # seconds that processes have after a signal, before they are killed


def launch(command: Sequence[str], *, num_processes: int, state: Callable[[], Any], say: Callable[[str], None]) -> int:
    """Run `python COMMAND` in several processes that know each other; gives the exit status that one of them would have.

    A process that dies of a signal (out of memory, say) takes the others with it, and all are started again, to go on from
    what is saved; unless they have died at this very state before.

    Args:
        command: what follows `python`.
        num_processes: how many.
        state: what changes when the work gets on, such as the names of the checkpoints.
        say: where a restart is told.
    """
    _hush()
    _set_defaults(num_processes)
    died_at: list[Any] = []
    while True:
        with TemporaryDirectory(prefix="sslkit-ranks-") as folder:  # for the agent's own files
            status = _root_cause(_once(command, num_processes, folder=folder))
        if status >= 0:
            return status
        name, here = signal.Signals(-status).name, state()
        why = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
        if here in died_at:
            say(f"a process died of {name}{why}, for the second time at the same place, so it is not tried again.")
            return 128 - status
        died_at.append(here)
        say(f"a process died of {name}{why}. All are started again, and go on from what is saved.")


def _root_cause(statuses: Sequence[int]) -> int:
    """Of all that failed the one that the others followed: the agent ends them by SIGTERM, or they miss it."""
    followed = (0, RankLost.exit_status, -signal.SIGTERM)
    return next((status for status in statuses if status not in followed), max(map(abs, statuses)))


def _hush() -> None:
    """The processes say themselves what went wrong; each logger of the agent has a level of its own."""
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed.elastic"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _set_defaults(num_processes: int) -> None:
    """What makes processes of one machine fast and safe, where the user has not decided otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // num_processes)))
    # The agent's own store keeps addresses of processes that died (https://github.com/pytorch/pytorch/issues/135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    if Path("/sys/class/net/lo").exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nobody else's business


def _once(command: Sequence[str], num_processes: int, *, folder: str) -> list[int]:
    """The exit statuses of the processes that failed, minus the signal where one died of it; [0] if all is well."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,  # it would start anew after a mistake of the user too
        signals_to_handle="SIGTERM,SIGINT,SIGHUP,SIGUSR1",
        shutdown_timeout=_TIME_TO_SAVE,
        logs_specs=DefaultLogsSpecs(log_dir=folder),
    )
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)}
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        return [failure.exitcode for failure in error.failures.values()]
    except SignalException as error:
        return [130 if error.sigval == signal.SIGINT else PREEMPTED]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return [0]
