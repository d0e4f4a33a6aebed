"""Evaluations: a frozen encoder -> named numbers.

An evaluation is called with any of these that it declares: `train`, `test` (Features: `h (n, d)`, `labels (n,)`, `classes`),
`encoder` (a copy in eval mode), `head`, `images` (the two splits and how they are seen), `folder` (for pictures and tables) and
`seed`. It gives `(name, value)` pairs; the framework adds the protocol. Optional: `protocol`, a few words that belong to each
number, and `check(train, test)`, called before training with features of width 0, so that missing labels cost no training.
"""

from typing import Annotated, Literal

from annotated_types import Gt

from sslkit.registry import Registry

registry = Registry(
    kind="evaluations",
    one="evaluation",
    builtins={
        "knn": "sslkit.evaluations.knn:KNN",
        "linear": "sslkit.evaluations.linear:LinearProbe",
        "linear_cached": "sslkit.evaluations.linear_cached:LinearProbeCached",
    },
    calls={"__call__": ("train", "test", "encoder", "head", "images", "folder", "seed")},
    options={
        "train": (str, "train"),
        "test": (str, "test"),
        "labels_per_class": (Annotated[int, Gt(0)] | None, None),
        "every_epochs": (Annotated[int, Gt(0)] | None, None),
        "baselines": (tuple[Literal["pixels", "untrained"], ...], ()),
    },
)
