"""Ranks: how many processes train together, which one this is, and which rows are its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

from sslkit.errors import RankLost, UserError

# Words of torch's errors when another process is gone, or silent for too long.
_LOST = ("Connection reset", "Connection closed", "Broken pipe", "Connection refused", "Timed out", "gloo", "NCCL")


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
        RankLost: another process is gone, or does not answer.
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
    except RuntimeError as error:
        sign = next((sign for sign in _LOST if sign in str(error)), None)
        if sign is None:
            raise
        raise RankLost(f"rank {rank()}: ends, for another rank does not answer any more ({sign}).") from error
    finally:
        dist.destroy_process_group()


def sizes_of_all(size: int) -> list[int]:
    """How many rows each rank has, in the order of ranks."""
    if num_ranks() == 1:
        return [size]
    found = [torch.tensor(0) for _ in range(num_ranks())]
    dist.all_gather(found, torch.tensor(size))
    return [int(one) for one in found]


def rows_of_all(rows: Tensor, *, sizes: list[int]) -> Tensor:
    """The rows `(n_r, ...)` of all ranks one below the other, in the order of ranks; gloo wants equal sizes, so pad and cut."""
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows
    found = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(found, padded)
    return torch.cat([one[:size] for one, size in zip(found, sizes, strict=True)])
