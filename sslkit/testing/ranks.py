"""Ranks: run a function in several processes of gloo on this machine, forked from a server that has imported torch already."""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "torch.distributed", "sslkit.run"])


def on_ranks(num_ranks: int, function: Callable[..., Any], *arguments: Any, timeout: float = 60) -> list[Any]:
    """What a function of a test module gives on each rank; AssertionError with its traceback where one fails or hangs.

    One rank is a process of its own too, without a process group.
    """
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for rank in range(num_ranks):
            ours, theirs = _CONTEXT.Pipe(duplex=False)
            process = _CONTEXT.Process(target=_one, args=(theirs, f"{folder}/store", (rank, num_ranks), function, arguments))
            process.start()
            theirs.close()
            started.append((process, ours))
        try:
            found = [_received(ours, timeout) for _, ours in started]
        finally:
            for process, _ in started:
                process.kill()
                process.join()
    failures = [f"rank {rank}: {text}" for rank, (fine, text) in enumerate(found) if not fine]
    assert not failures, "\n".join(failures)
    return [result for _, result in found]


def _received(connection: Connection, timeout: float) -> tuple[bool, Any]:
    if not connection.poll(timeout):
        return False, f"nothing came within {timeout} s"
    try:
        return pickle.loads(connection.recv_bytes())
    except EOFError:
        return False, "died"


def _one(connection: Connection, store: str, place: tuple[int, int], function: Callable[..., Any], arguments: Any) -> None:
    import torch
    from torch import distributed as dist

    torch.set_num_threads(1)
    rank, num_ranks = place
    try:
        if num_ranks > 1:
            dist.init_process_group(
                "gloo",
                store=torch.distributed.FileStore(str(Path(store)), num_ranks),  # type: ignore[attr-defined]
                rank=rank,
                world_size=num_ranks,
                timeout=timedelta(seconds=30),
            )
        said = True, function(*arguments)
    except BaseException:
        said = False, traceback.format_exc()
    connection.send_bytes(pickle.dumps(said))  # as bytes: torch would share a tensor's memory, which ends with this process
    Event().wait()  # till it is killed: a rank that leaves while another still connects to it is an error there
