"""Agreement: what one rank knows, or what went wrong on it, all ranks come to know; so they go on together or end together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed as dist

from sslkit.distributed.ranks import is_leader, num_ranks, rank
from sslkit.errors import OtherRankFailed, SslkitError, UserError

_PATIENCE = timedelta(days=30)  # with which ranks wait for work that only some have, an evaluation for instance


def largest_of_all(number: int) -> int:
    """The largest number that any rank has; all of them learn the same."""
    if num_ranks() == 1:
        return number
    found = torch.tensor(number)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return int(found)


def led(work: Callable[[], Any]) -> Any:
    """What the leader's work gives, on every rank; it has to be JSON. The others wait as long as it takes.

    Raises:
        SslkitError: on the leader, as its work raised it.
        OtherRankFailed: on the others then.
    """
    found = None
    with together():
        if is_leader():
            found = work()
    return json.loads(bytes_from_leader(json.dumps(found).encode())) if num_ranks() > 1 else found


@contextmanager
def together() -> Iterator[None]:
    """Leave this block on all ranks, or on none: where one of them fails in it, the others raise OtherRankFailed at its end.

    What is not an error of sslkit ends the process at once; the others then lose their connection to it.
    """
    if num_ranks() == 1:
        yield
        return
    patient = dist.new_group(backend="gloo", timeout=_PATIENCE)
    failure: SslkitError | None = None
    try:
        yield
    except SslkitError as error:
        failure = error
    said = of_all([str(failure), failure.exit_status] if failure else None, group=patient)
    dist.destroy_process_group(patient)
    first = next((number for number, one in enumerate(said) if one is not None), None)
    if first is None:
        return
    if failure is not None and first == rank():
        raise failure
    message, status = said[first]
    raise OtherRankFailed(f"rank {first}: {message}" if _tells(first) else "", exit_status=status) from failure


def _tells(failed: int) -> bool:
    """Whether this rank repeats the error of another one: one rank a node does, but not on the node that failed."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(num_ranks())))
    return rank() % here == 0 and failed // here != rank() // here


def bytes_from_leader(data: bytes) -> bytes:
    """The leader's bytes, on every rank."""
    if num_ranks() == 1:
        return data
    length = torch.tensor(len(data))
    dist.broadcast(length, src=0)
    if int(length) == 0:
        return b""
    content = torch.empty(int(length), dtype=torch.uint8)
    if is_leader():
        content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    dist.broadcast(content, src=0)
    return content.numpy().tobytes()


def of_all(fact: Any, *, group: Any = None) -> list[Any]:
    """What each rank says, in the order of ranks; it has to be JSON."""
    if num_ranks() == 1:
        return [fact]
    said = json.dumps(fact).encode()
    longest = torch.tensor(len(said))
    dist.all_reduce(longest, op=dist.ReduceOp.MAX, group=group)
    padded = torch.frombuffer(bytearray(said.ljust(int(longest))), dtype=torch.uint8)  # spaces: JSON does not mind them
    found = [torch.empty_like(padded) for _ in range(num_ranks())]
    dist.all_gather(found, padded, group=group)
    return [json.loads(one.numpy().tobytes()) for one in found]


def refuse_differences(facts: Mapping[str, Any], *, advice: str) -> None:
    """Raise UserError if a rank sees other facts than rank 0: other images, another recipe, other versions.

    Args:
        facts: name -> JSON.
        advice: a sentence on what to do then.
    """
    first, *others = of_all(dict(facts))
    for number, theirs in enumerate(others, start=1):
        for key in sorted(first.keys() | theirs.keys()):
            if first.get(key) != theirs.get(key):
                with together():
                    if is_leader():
                        raise UserError(
                            f"rank {number}: {key} is {theirs.get(key)!r}, and on rank 0 it is {first.get(key)!r}. {advice}"
                        )
