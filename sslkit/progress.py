"""Progress: what a person sees while a run works; bars on a terminal, one plain line a logged step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[int], None]


@runtime_checkable
class Reporter(Protocol):
    """Where a run says what it does."""

    def say(self, text: str) -> None:
        """One line for the person."""

    def training(self, *, start: int, steps: int) -> None:
        """Training begins, `start` of `steps` done."""

    def step(self, step: int, numbers: Mapping[str, float], *, logged: bool) -> None:
        """A step is done; `numbers` hold epoch, epochs, loss, images_per_second and more."""

    def part(self, fraction: float) -> None:
        """A fraction of the next step is done, in [0, 1]."""

    def trained(self) -> None:
        """Training has ended."""

    def work(self, what: str, total: int | None) -> AbstractContextManager[Advance]:
        """A context for other long work, counted in images; of some it can't be told how many."""


def reporter(console: Console) -> Reporter:
    """Bars where the console is a terminal, else lines."""
    return Bars(console) if console.is_terminal else Lines(console)


def _described(numbers: Mapping[str, float]) -> str:
    accuracy = f"  contrastive accuracy {numbers['contrast_accuracy']:.3f}" if "contrast_accuracy" in numbers else ""
    return f"epoch {numbers['epoch']:.0f}/{numbers['epochs']:.0f}  loss {numbers['loss']:.3f}{accuracy}"


class Lines:
    """One plain line a logged step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._steps = 0

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def training(self, *, start: int, steps: int) -> None:
        """Remember how many steps there are."""
        self._steps = steps
        self.say(f"training, step {start} of {steps}")

    def step(self, step: int, numbers: Mapping[str, float], *, logged: bool) -> None:
        """Print a logged step."""
        if logged:
            self.say(f"step {step}/{self._steps}  {_described(numbers)}  {numbers['images_per_second']:.0f} images/s")

    def part(self, fraction: float) -> None:
        """Not worth a line."""

    def trained(self) -> None:
        """Nothing to take down."""

    @contextmanager
    def work(self, what: str, total: int | None) -> Iterator[Advance]:
        """Say what begins."""
        self.say(what if total is None else f"{what}, {total} images")
        yield lambda _: None


class Bars:
    """Bars of rich: one for the training, one for what goes on between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._steps_done = 0

    def say(self, text: str) -> None:
        """Print it above the bars."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def training(self, *, start: int, steps: int) -> None:
        """Show the bar."""
        # Narrow enough for 80 columns: the words take about 50 of them.
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
        )
        self._progress = Progress(*columns, console=self._console)
        self._progress.start()
        self._task = self._progress.add_task("training", total=steps, completed=start, speed="")
        self._steps_done = start

    def step(self, step: int, numbers: Mapping[str, float], *, logged: bool) -> None:
        """Move the bar; its words change with each logged step."""
        assert self._progress is not None
        self._steps_done = step
        if logged:
            speed = f"{numbers['images_per_second']:.0f} img/s"
            self._progress.update(self._task, completed=step, description=_described(numbers), speed=speed)
        else:
            self._progress.update(self._task, completed=step)

    def part(self, fraction: float) -> None:
        """Move the bar within a step."""
        assert self._progress is not None
        self._progress.update(self._task, completed=self._steps_done + fraction)

    def trained(self) -> None:
        """Leave the bar as it stands."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @contextmanager
    def work(self, what: str, total: int | None) -> Iterator[Advance]:
        """A bar that goes away when the work is done; beneath another's that is up."""
        if self._progress is None:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            with Progress(*columns, console=self._console, transient=True) as progress:
                self._progress = progress
                try:
                    yield self._advance(what, total)
                finally:
                    self._progress = None
            return
        advance = self._advance(what, total)
        yield advance
        self._progress.remove_task(self._progress.task_ids[-1])

    def _advance(self, what: str, total: int | None) -> Advance:
        """A new bar; what moves it."""
        assert self._progress is not None
        task = self._progress.add_task(what, total=total, speed="")
        return lambda n: self._progress.advance(task, n) if self._progress else None
