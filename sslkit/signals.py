"""Signals: Ctrl-C and SIGTERM ask for a stop, and the work stops where it can do so without losing anything."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sslkit.errors import Stopped


class StopRequest:
    """Whether somebody has asked for a stop."""

    def __init__(self) -> None:
        self.asked = False

    def __bool__(self) -> bool:
        return self.asked

    def poll(self, *_: object) -> None:
        """Raise Stopped if somebody has asked; for work that can be done again."""
        if self.asked:
            raise Stopped("asked to stop")


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request; a second SIGINT interrupts at once."""
    request = StopRequest()

    def ask(number: int, _: FrameType | None) -> None:
        if request.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not request.asked:
            os.write(2, b"\nstopping after this step, and saving; Ctrl-C again stops at once\n")  # print is not safe here
        request.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
