"""Journal: what a run writes down on its way, the numbers of its steps and of its evaluations, and who else hears of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sslkit.folder import RunFolder
from sslkit.progress import Reporter
from sslkit.results import Result, merged
from sslkit.sections import Part
from sslkit.tracked_names import differing_keys, tracked_name


class Journal:
    """The lines of `metrics.jsonl` and `timing.jsonl`, `results.json`, and the trackers of a run.

    Args:
        folder: where the files lie.
        report: what evaluations find is said there.
        evaluate: all evaluations of the recipe, whose numbers must not bear one name.
    """

    def __init__(self, folder: RunFolder, *, report: Reporter, evaluate: Sequence[Part] = ()) -> None:
        self.folder = folder
        self.report = report
        self._differing = differing_keys(evaluate)
        self.results: list[Result] = []
        self.trackers: Sequence[Any] = ()

    def take_up(self, *, step: int, epoch: float) -> None:
        """Drop what was written after the step from which the run goes on."""
        for name in ("metrics.jsonl", "timing.jsonl"):
            self.folder.truncate(name, step=step)
        self.results = [result for result in self.folder.read_results()[0] if result["epoch"] <= epoch]

    def open(self, trackers: Sequence[Any]) -> None:
        """Tell trackers too, from now on until `close`."""
        self.trackers = trackers

    def close(self) -> None:
        """Close the trackers."""
        for tracker in self.trackers:
            tracker.close()

    def log(self, step: int, numbers: Mapping[str, float], *, timing: Mapping[str, float]) -> None:
        """The numbers of a step, and those of the clock, which differ from run to run."""
        self.folder.append("metrics.jsonl", {"step": step, **numbers})
        self.folder.append("timing.jsonl", {"step": step, **timing})
        for tracker in self.trackers:
            tracker(step, numbers)

    def evaluated(self, epoch: int) -> bool:
        """Whether the evaluations after this epoch are written down already."""
        return any(result["epoch"] == epoch for result in self.results)

    def record(
        self, results: list[Result], *, step: int, epoch: int, unreadable: Sequence[str] = (), finished: bool = False
    ) -> None:
        """What evaluations found after an epoch, and what was skipped so far; `finished` once there is no more to come."""
        self.results = merged(self.results, results)
        self.folder.write_results(self.results, finished=finished, unreadable=unreadable)
        trained = [result for result in results if result["encoder"] == "trained"]
        numbers = {tracked_name(result, self._differing): result["value"] for result in trained}
        for name, value in numbers.items():
            self.report.say(f"epoch {epoch}: {name} = {value:.4f}")
        for tracker in self.trackers:
            tracker(step, numbers)


def step_numbers(
    step: int, loss: Tensor, scalars: Mapping[str, Tensor], *, optimizer: torch.optim.Optimizer, steps_per_epoch: int
) -> dict[str, float]:
    """What is written down of a step, counted from 1; the optimizer still has its learning rate."""
    group = optimizer.param_groups[0]
    numbers = {"epoch": step / steps_per_epoch, "loss": loss.item(), "lr": group["lr"] / group.get("lr_scale", 1.0)}
    return {**{name: float(value) for name, value in scalars.items()}, **numbers}
