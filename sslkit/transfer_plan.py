"""Transfer plan: what is done on each data set, by the protocol of the paper's table 8."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

RowName = Literal["linear", "finetune", "random"]


class Row(NamedTuple):
    """A row of the table.

    Args:
        evaluation: what gives its number.
        encoder: from whose weights.
        crop: the share of an image's shorter side that is seen.
    """

    evaluation: Literal["logistic", "finetune_grid"]
    encoder: Literal["trained", "untrained"]
    crop: float


ROWS: dict[RowName, Row] = {
    "linear": Row("logistic", "trained", crop=1.0),
    "finetune": Row("finetune_grid", "trained", crop=0.875),
    "random": Row("finetune_grid", "untrained", crop=0.875),
}


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

    rows: tuple[RowName, ...] = ("linear",)
    steps: int = 20_000
    grid: int = 7
    train: str = "train"
    validation: str | None = None
    test: str = "test"

    def sections(self, *, validation: str | None) -> dict[RowName, dict[str, Any]]:
        """The evaluation of each row, as a recipe has it; settings are chosen on a split, or on held-out images."""
        splits = {"train": self.train, "test": self.test, **({"validation": validation} if validation else {})}
        grid = {"num_lrs": self.grid, "num_weight_decays": self.grid}
        of_random = {"lrs": [1e-3, 1.0], "weight_decays": [1e-5, 10**-1.5], "baselines": ["untrained"]}
        own: dict[RowName, dict[str, Any]] = {
            "linear": {},
            "finetune": {**grid, "steps": self.steps},
            "random": {**grid, "steps": 2 * self.steps, **of_random},
        }
        return {row: {"name": ROWS[row].evaluation, **splits, **own[row]} for row in self.rows}
