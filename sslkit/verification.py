"""Verification: each component that an installed package offers is imported and held against its contract.

It happens in a process of its own. One that a package ends, by `os._exit` or by crashing, is that package's failure, and the
next process goes on behind it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from sslkit import plugins
from sslkit.errors import SslkitError
from sslkit.plugins import Offer
from sslkit.registry import KINDS, registry_of

_CHILD = "from sslkit.verification import report; report()"


class Verified(NamedTuple):
    """What came of one offer: `problem` is a sentence, or empty; `seconds` are what its import took."""

    offer: Offer
    problem: str
    seconds: float


def verified() -> Iterator[Verified]:
    """Each offer of the installed packages in turn; those in groups that do not exist are left out."""
    offers = _offers()
    done = 0
    while done < len(offers):
        command = [sys.executable, "-c", _CHILD, str(done)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one or "." for one in sys.path)}
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment) as child:
            assert child.stdout is not None
            for line in child.stdout:
                yield Verified(offers[done], **json.loads(line))
                done, started = done + 1, time.perf_counter()
        if done < len(offers):
            yield Verified(offers[done], _ended(child.returncode), time.perf_counter() - started)
            done += 1


def report() -> None:
    """Verify the offers from a number on, the one argument, and write a line of JSON about each."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what packages print, C libraries too, is for people
    for offer in _offers()[int(sys.argv[1]) :]:
        started = time.perf_counter()
        problem = _problem(offer)
        lines.write(json.dumps({"problem": problem, "seconds": time.perf_counter() - started}) + "\n")
        lines.flush()


def _problem(offer: Offer) -> str:
    try:
        registry_of(offer.kind).model(offer.name)
    except SslkitError as error:
        return str(error)
    return ""


def _offers() -> list[Offer]:
    return sorted(
        (one for one in plugins.scan().offers if one.kind in KINDS), key=lambda one: (one.distribution, one.kind, one.name)
    )


def _ended(status: int) -> str:
    """How a process ended that ought to have gone on."""
    if status >= 0:
        return f"it ends the process that imports it, with exit status {status}."
    with contextlib.suppress(ValueError):
        return f"it crashes the process that imports it ({signal.Signals(-status).name})."
    return f"it crashes the process that imports it (signal {-status})."
