"""What is asked of a tracker."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject

_NUMBERS = {"loss": 4.25, "lr": 0.1, "knn_top1": 0.5}


def takes_numbers_and_closes(subject: Subject) -> None:
    """It takes numbers of several steps, other names each time, and closes."""
    with tempfile.TemporaryDirectory() as folder, no_error("a run from the start"):
        tracker = subject.make(folder=Path(folder), step=0)
        tracker(1, dict(_NUMBERS))
        tracker(2, {"loss": 4.0})
        tracker(2, {"linear_top1": 0.25})
        tracker.close()


def goes_on_after_a_stop(subject: Subject) -> None:
    """In the same folder it goes on from a step that was done already, as a run does after a stop."""
    with tempfile.TemporaryDirectory() as folder:
        for start, steps in ((0, (1, 2, 3)), (2, (3, 4))):
            with no_error(f"a run from step {start}"):
                tracker = subject.make(folder=Path(folder), step=start)
                for step in steps:
                    tracker(step, dict(_NUMBERS))
                tracker.close()


def closes_without_numbers(subject: Subject) -> None:
    """It closes although nothing was logged: a run may stop before its first step."""
    with tempfile.TemporaryDirectory() as folder, no_error("opened and closed"):
        subject.make(folder=Path(folder), step=0).close()


def numbers_are_left_alone(subject: Subject) -> None:
    """It does not change the numbers it is handed: other trackers get the same."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = dict(_NUMBERS)
        tracker = subject.make(folder=Path(folder), step=0)
        tracker(1, numbers)
        tracker.close()
    assert numbers == _NUMBERS, f"they became {numbers}."


CHECKS = (takes_numbers_and_closes, goes_on_after_a_stop, closes_without_numbers, numbers_are_left_alone)
