"""Signals: Ctrl-C, SIGTERM and SIGUSR1 ask for a stop, and the work stops where it can do so without losing anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType
from typing import TypeVar

from sslkit.errors import Preempted, Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
Item = TypeVar("Item")


class StopRequest:
    """Whether somebody has asked for a stop; true once they have. `number` is the first signal that did."""

    def __init__(self) -> None:
        self.asked = False
        self.number: int = signal.SIGINT
        self._interrupts = 0
        self._at_once = False

    def __bool__(self) -> bool:
        return self.asked

    def ask(self, number: int) -> None:
        """Take a signal: remember it, and raise only inside of `at_once`, or KeyboardInterrupt at the second SIGINT."""
        self._interrupts += number == signal.SIGINT
        if self._interrupts > 1:
            raise KeyboardInterrupt
        if not self.asked:
            self.number = number
        self.asked = True
        if self._at_once:
            raise stopped(self.number)

    def poll(self, *_: object) -> None:
        """Raise Stopped if somebody has asked; for work that can be done again."""
        if self.asked:
            raise stopped(self.number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A context in which a request raises Stopped wherever the work stands; for work that can be done again."""
        before, self._at_once = self._at_once, True
        try:
            self.poll()
            yield
        finally:
            self._at_once = before


def stopped(number: int) -> Stopped:
    """The error that a request ends in, by its signal: of a person, or of a machine that takes its place back."""
    return (Stopped if number == signal.SIGINT else Preempted)("asked to stop")


def awaited(items: Iterator[Item], stop: StopRequest, *, when: Callable[[], bool] = lambda: True) -> Iterator[Item]:
    """The same items; a request raises Stopped while the next one is awaited, where `when` allows it."""
    nothing = object()
    while True:
        if when():
            with stop.at_once():
                item = next(items, nothing)
        else:
            item = next(items, nothing)
        if item is nothing:
            return
        yield item  # type: ignore[misc]


def left_to_parent() -> None:
    """In a worker: leave signals to the whole group to the parent; SIGTERM ends this process only if the parent sends it.

    Torch lets a worker die of a SIGTERM that reaches all, and its death is an error in the parent, which was about to save.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGUSR1 into a request; a second SIGINT interrupts at once."""
    request, owner = StopRequest(), os.getpid()

    def ask(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:
            return  # a worker, forked with this handler; a signal to the whole group is for the run to answer
        if not request:
            os.write(2, b"\nstopping after this step, and saving; Ctrl-C again stops at once\n")  # print is not safe here
        request.ask(number)

    before = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
