"""Findings: what the doctor says of one point, whether it is well, and what helps where it is not."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "error"]


class Asked(NamedTuple):
    """What the doctor was asked on the command line; without a recipe the machine alone is looked at."""

    recipe: str | None
    folder: str
    overrides: tuple[str, ...] = ()
    num_processes: int = 1


class Finding(NamedTuple):
    """One point. An error is what can't be had though it was asked for; `advice` says what to do about it."""

    state: State
    topic: str
    text: str
    advice: str = ""


def ok(topic: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", topic, text)


def warning(topic: str, text: str, advice: str) -> Finding:
    """It goes, but slowly, or not for certain."""
    return Finding("warning", topic, text, advice)


def error(topic: str, text: str, advice: str = "") -> Finding:
    """It does not go. What sslkit says itself of a mistake has its advice in it."""
    return Finding("error", topic, text, advice)


def size(number: float) -> str:
    """Bytes for people.

    >>> size(64 * 2**20), size(3 * 2**29)
    ('64 MiB', '1.5 GiB')
    """
    return f"{number / 2**20:,.0f} MiB" if number < 2**30 else f"{number / 2**30:,.1f} GiB"
