"""Stopwatch: images a second, and the share of the time that is spent waiting for views."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator

from sslkit.loader import Batch


class Stopwatch:
    """Counts steps of `batch_size` images.

    `images_per_second` and the figures of `lap` depend on the clock: they belong to `timing.jsonl`, never to `metrics.jsonl`.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.images_per_second = 0.0
        self.restart()

    def restart(self) -> None:
        """Leave out what was done since the last step."""
        self._began, self._waited, self._steps = time.perf_counter(), 0.0, 0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; the time they take is remembered."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self._waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch

    def step(self) -> None:
        """One more step is done."""
        self._steps += 1
        self.images_per_second = self._steps * self.batch_size / (time.perf_counter() - self._began)

    def lap(self) -> dict[str, float]:
        """The figures since the last lap; begins another."""
        elapsed = time.perf_counter() - self._began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        figures = {
            "images_per_second": round(self._steps * self.batch_size / elapsed, 2),
            "loader_share": round(self._waited / elapsed, 4),
            "peak_memory_mib": round(peak / 2**20, 1),
        }
        self.restart()
        return figures
