"""Verification: each component that an installed package offers is imported and held against its contract.

It happens in a process of its own. One that a package ends, by `os._exit` or by crashing, is that package's failure, and the
next process goes on behind it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from sslkit import apart, plugins
from sslkit.errors import SslkitError
from sslkit.plugins import Offer
from sslkit.registry import KINDS, registry_of

_CHILD = "from sslkit.verification import report; report()"
_PATIENCE = 120  # seconds: torch from a cold network disk takes long, and nothing takes that long


class Verified(NamedTuple):
    """What came of one offer: `problem` is a sentence, or empty; `seconds` are what its import took."""

    offer: Offer
    problem: str
    seconds: float


def verified() -> Iterator[Verified]:
    """Each offer of the installed packages in turn; those in groups that do not exist are left out."""
    offers, started = _offers(), time.perf_counter()
    for offer, answer in zip(offers, apart.answers(_CHILD, number=len(offers), patience=_PATIENCE), strict=True):
        if isinstance(answer, apart.Ended):
            yield Verified(offer, answer.sentence, time.perf_counter() - started)
        else:
            yield Verified(offer, **answer)
        started = time.perf_counter()


def report() -> None:
    """Verify the offers from a number on, the one argument, and answer for each."""
    apart.give(_answer(offer) for offer in _offers()[int(sys.argv[1]) :])


def _answer(offer: Offer) -> dict[str, Any]:
    started = time.perf_counter()
    problem = _problem(offer)
    return {"problem": problem, "seconds": time.perf_counter() - started}


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
