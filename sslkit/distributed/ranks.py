"""Ranks: how many processes train together, which one this is, and how they come to agree."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from sslkit.errors import UserError

_PATIENCE = timedelta(days=30)  # with which ranks wait for the leader's own work, an evaluation for instance


def num_ranks() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_leader() -> bool:
    """Whether this is the process that writes files and speaks to people."""
    return rank() == 0


def share(rows: slice) -> slice:
    """The part of a range of rows that is this rank's: contiguous, in the order of ranks, as equal as can be."""
    return share_of(rows, rank(), num_ranks())


def share_of(rows: slice, rank: int, num_ranks: int) -> slice:
    """The part of a range of rows that is a rank's.

    >>> [share_of(slice(10, 17), rank, 3) for rank in range(3)]
    [slice(10, 12, None), slice(12, 14, None), slice(14, 17, None)]
    """
    length = rows.stop - rows.start
    first, last = (rows.start + length * number // num_ranks for number in (rank, rank + 1))
    return slice(first, last)


@contextmanager
def group(*, timeout_seconds: float = 600) -> Iterator[None]:
    """Join the processes that torchrun started, and leave them at the end; a single process stays one.

    Args:
        timeout_seconds: how long a collective waits for a rank that does not come, before it is an error.

    Raises:
        UserError: the variables that torchrun sets are there in part only.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if missing := [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise UserError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, and {', '.join(missing)} is not set: these variables are torchrun's. "
            f"Start several processes with 'sslkit run RECIPE --nproc N' or with torchrun, or unset WORLD_SIZE."
        )
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(timeout=timedelta(seconds=timeout_seconds))  # gloo for what lies on the CPU, nccl on GPUs
    try:
        yield
    finally:
        dist.destroy_process_group()


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any rank; all of them learn the same."""
    return most(int(flag)) > 0


def most(number: int) -> int:
    """The largest of the ranks' numbers."""
    if num_ranks() == 1:
        return number
    found = torch.tensor(number)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return int(found)


def led(work: Callable[[], Any]) -> Any:
    """What the leader's work gives, on every rank; it has to be JSON. The others wait as long as it takes.

    If the leader fails, it leaves the group, and whoever waits for it gets torch's error of a lost connection.
    """
    if num_ranks() == 1:
        return work()
    patient = dist.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        said = json.dumps(work()).encode() if is_leader() else b""
        return json.loads(_from_leader(said, patient))
    finally:
        dist.destroy_process_group(patient)


def bytes_from_leader(data: bytes) -> bytes:
    """The leader's bytes, on every rank."""
    return data if num_ranks() == 1 else _from_leader(data, None)


def _from_leader(data: bytes, group: Any) -> bytes:
    length = torch.tensor(len(data))
    dist.broadcast(length, src=0, group=group)
    content = torch.empty(int(length), dtype=torch.uint8)
    if is_leader():
        content = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else content
    dist.broadcast(content, src=0, group=group)
    return content.numpy().tobytes()


def of_all(fact: Any) -> list[Any]:
    """What each rank says, in the order of ranks; it has to be JSON."""
    if num_ranks() == 1:
        return [fact]
    said = json.dumps(fact).encode()
    longest = most(len(said))
    padded = torch.frombuffer(bytearray(said.ljust(longest)), dtype=torch.uint8)  # spaces: JSON does not mind them
    found = [torch.empty_like(padded) for _ in range(num_ranks())]
    dist.all_gather(found, padded)
    return [json.loads(one.numpy().tobytes()) for one in found]


def refuse_differences(facts: dict[str, Any]) -> None:
    """Raise UserError if a rank sees other facts than rank 0: other images, another recipe, other versions."""
    first, *others = of_all(facts)
    for number, theirs in enumerate(others, start=1):
        for key in sorted(first.keys() | theirs.keys()):
            if first.get(key) != theirs.get(key):
                raise UserError(
                    f"rank {number}: {key} is {theirs.get(key)!r}, and on rank 0 it is {first.get(key)!r}. "
                    f"All ranks have to see the same images, recipe and versions."
                )


def rows_of_all(rows: Tensor, *, sizes: list[int]) -> Tensor:
    """The rows `(n_r, ...)` of all ranks one below the other, in the order of ranks; gloo wants equal sizes, so pad and cut."""
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    found = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(found, padded)
    return torch.cat([one[:size] for one, size in zip(found, sizes, strict=True)])
