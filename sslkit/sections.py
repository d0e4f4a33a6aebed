"""Sections: what a recipe is made of, and which kind of component stands where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sslkit import micro_batches
from sslkit.errors import Problem
from sslkit.places import Places, dotted, inside
from sslkit.toml import KeyPath

KIND_OF_SECTION = {
    "method": "methods",
    "backbone": "backbones",
    "head": "heads",
    "loss": "losses",
    "optimizer": "optimizers",
    "data": "datasets",
}
KIND_OF_LIST = {
    "augmentations": "augmentations",
    "evaluation_augmentations": "augmentations",
    "evaluate": "evaluations",
    "track": "trackers",
}
SECTIONS = (*KIND_OF_SECTION, *KIND_OF_LIST, "num_views", "views", "train")


class Train(BaseModel):
    """How long, how fast and how exactly: the `[train]` section."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)

    epochs: Annotated[int, Field(gt=0, description="passes over the images")]
    batch_size: Annotated[int, Field(gt=1, description="images a step; each gives all its views")]
    micro_batch: Annotated[
        Annotated[int, Gt(1)] | None,
        Field(description="compute in slices of at most so many images: the loss sees the whole batch; memory of a slice"),
    ] = None
    base_lr: Annotated[float, Field(gt=0, description="learning rate before scaling by the batch size")]
    lr_scaling: Annotated[
        Literal["linear", "sqrt", "none"],
        Field(
            description="peak lr = base_lr x batch_size / 256, base_lr x sqrt(batch_size), or base_lr (arXiv:2002.05709, B.1)"
        ),
    ] = "linear"
    warmup_epochs: Annotated[float, Field(ge=0, description="linear warm-up from 0 to the peak lr, then cosine to 0")] = 10.0
    precision: Annotated[Literal["fp32", "bf16"], Field(description="bf16 is autocast; losses keep to fp32")] = "fp32"
    online_probe: Annotated[
        bool | None, Field(description="a linear classifier on stop-gradient(h) learns beside; for `linear_online`")
    ] = None
    seed: Annotated[int, Field(ge=0, description="the seed of weights, order and views")] = 0
    log_every: Annotated[int, Field(gt=0, description="steps between two lines of metrics.jsonl")] = 10
    checkpoint_every_epochs: Annotated[
        int, Field(gt=0, description="epochs between two checkpoints, of which the newest two stay")
    ] = 1
    keep_every_epochs: Annotated[int, Field(gt=0, description="epochs between two checkpoints that are kept")] = 100

    @property
    def slice_size(self) -> int:
        """Images whose views lie in memory together, at most."""
        return micro_batches.largest(self.batch_size, self.micro_batch)

    @field_validator("online_probe")
    @classmethod
    def _asked(cls, online_probe: bool | None) -> bool | None:
        """`false` is the same run as none."""
        return online_probe or None

    @field_validator("micro_batch")
    @classmethod
    def _whole(cls, micro_batch: int | None, info: Any) -> int | None:
        """One slice is the whole batch: the same run as without slices."""
        fits = micro_batch is not None and micro_batch >= info.data.get("batch_size", math.inf)
        return None if fits else micro_batch


@dataclass(frozen=True)
class Part:
    """One component as a recipe names it: `parameters` are its own, `options` those reserved for its kind.

    It knows the `path` on which it stands in the recipe and the `places` of that, which make no part of what it is.
    """

    kind: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    path: KeyPath = field(default=(), compare=False, repr=False)
    places: Places = field(default=Places("recipe", {}), compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The section that names this part, every default written out."""
        filled = {"name": self.name, **self.options, **self.parameters}
        return {key: _plain(value) for key, value in filled.items() if value is not None}

    def problem(self, complaint: str) -> Problem:
        """What the component itself complains of, at the parameter that it names, or else at its section."""
        keys = inside(complaint, {**self.parameters, **self.options})
        said = f".{complaint}" if keys else f": {self.name!r}: {complaint}"
        return Problem(self.places.of((*self.path, *keys)), f"{dotted(self.path)}{said}")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
