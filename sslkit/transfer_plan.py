"""Transfer plan: what is done on each data set, by the protocol of the paper's table 8, and on which of its splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from sslkit.datasets.images import Images
from sslkit.datasets.origins import num_shared
from sslkit.errors import UnknownSplit

Row = Literal["linear", "finetune", "random"]

VALIDATION = "val"  # where a data set has it
CROPS: dict[Row, float] = {"linear": 1.0, "finetune": 0.875, "random": 0.875}  # share of the shorter side that is seen


class Plan(NamedTuple):
    """What is done on each data set (arXiv:2002.05709, appendix B.8).

    Args:
        rows: "linear", logistic regression on h; "finetune", with a grid; "random", the same from random weights.
        steps: of each fine-tuning; from random weights twice as many.
        grid: learning rates, and weight decays beside 0, that are tried.
        train: the split that is learnt.
        validation: the split on which settings are chosen; by default `val`, and where there is none, or it shares images with
            one of the others, a tenth of each class of `train`.
        test: the split that the numbers are from.
    """

    rows: tuple[Row, ...] = ("linear",)
    steps: int = 20_000
    grid: int = 7
    train: str = "train"
    validation: str | None = None
    test: str = "test"

    def sections(self, *, validation: str | None) -> dict[Row, dict[str, Any]]:
        """The evaluation of each row, as a recipe has it; settings are chosen on a split, or on held-out images."""
        splits = {"train": self.train, "test": self.test, **({"validation": validation} if validation else {})}
        grid = {"name": "finetune_grid", "num_lrs": self.grid, "num_weight_decays": self.grid, **splits}
        of_random = {"lrs": [1e-3, 1.0], "weight_decays": [1e-5, 10**-1.5], "baselines": ["untrained"]}
        found: dict[Row, dict[str, Any]] = {
            "linear": {"name": "logistic", **splits},
            "finetune": {**grid, "steps": self.steps},
            "random": {**grid, "steps": 2 * self.steps, **of_random},
        }
        return {row: found[row] for row in self.rows}


def check_splits(images: Callable[[str], Images], plan: Plan) -> None:
    """Open the splits that were asked for, so that a wrong name is said of the option that has it."""
    for key in ("train", "validation", "test"):
        name = getattr(plan, key)
        try:
            if name is not None:
                images(name)
        except UnknownSplit as error:
            raise UnknownSplit(f"--{key} {name}: {error}") from error


def usual_validation(images: Callable[[str], Images], plan: Plan) -> tuple[str | None, str]:
    """The split `val`, if it is there and shares no image with the two others; else why not."""
    try:
        found = images(VALIDATION)
    except UnknownSplit:
        return None, f"has no split {VALIDATION!r}"
    for name in (plan.train, plan.test):
        if name == VALIDATION or num_shared(images(name), found):
            return None, f"the split {VALIDATION!r} shares images with {name!r}"
    return VALIDATION, ""
