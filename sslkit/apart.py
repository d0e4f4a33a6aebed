"""Apart: questions answered one after another in a process of its own; one that ends the process costs its own answer alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from threading import Event, Timer
from typing import IO, Any, NamedTuple


class Ended(NamedTuple):
    """No answer, since the process that ought to have given it ended; a negative status is a signal, and None that it hung."""

    status: int | None

    @property
    def cause(self) -> str:
        """`exit status 3`, `SIGSEGV`, or `no answer for too long`."""
        if self.status is None:
            return "no answer for too long"
        if self.status >= 0:
            return f"exit status {self.status}"
        with contextlib.suppress(ValueError):
            return signal.Signals(-self.status).name
        return f"signal {-self.status}"

    @property
    def sentence(self) -> str:
        """What is said of a package whose import ended the process."""
        if self.status is not None and self.status >= 0:
            return f"it ends the process that imports it, with exit status {self.status}."
        return f"it {'crashes' if self.status else 'blocks'} the process that imports it ({self.cause})."


def answers(
    code: str, *arguments: str, number: int, stderr: IO[str] | None = None, patience: float | None = None
) -> Generator[Any, None, None]:
    """What a program answers to some questions, one after another: any JSON value, or Ended.

    The program hands its answers to `give`. Its arguments are the number of the first question, from 0, and `arguments`. Where
    it ends too early it is started again, for the questions behind the one that it was at.

    Args:
        code: the program, as Python text.
        arguments: more for it.
        number: how many questions there are.
        stderr: where goes what the program says to people; by default where this process's does.
        patience: seconds for an answer, after which the program is killed; by default there is no end to it.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one or "." for one in sys.path)}
    done = 0
    while done < number:
        command = [sys.executable, "-c", code, str(done), *arguments]
        late = Event()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=stderr, env=environment, text=True
        ) as child:
            try:
                for line in _lines(child, patience=patience, late=late):
                    yield json.loads(line)
                    done += 1
                status = child.wait() if done < number else 0
            finally:
                child.kill()  # who asks may want no more
        if done < number:
            yield Ended(None if late.is_set() else status)
            done += 1


def give(answers: Iterable[Any]) -> None:
    """In the program: answer each question in turn. What is printed meanwhile, by C libraries too, goes to stderr."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for answer in answers:
        lines.write(json.dumps(answer) + "\n")
        lines.flush()


def _lines(child: subprocess.Popen[str], *, patience: float | None, late: Event) -> Iterator[str]:
    """The whole lines that a process writes; it is killed where one takes too long, and `late` is set."""
    assert child.stdout is not None

    def stop() -> None:
        late.set()
        child.kill()

    while True:
        timer = Timer(patience or 0, stop)
        timer.daemon = True
        if patience is not None:
            timer.start()
        line = child.stdout.readline()
        timer.cancel()
        if not line.endswith("\n"):
            return
        yield line
