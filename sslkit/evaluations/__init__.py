"""Evaluations: a frozen encoder -> named numbers.

An evaluation is called with any of these that it declares: `train`, `test` (Features: `h (n, d)`, `labels (n,)`, `classes`),
`validation` (Features, or None where the recipe names no such split), `encoder` (a copy in eval mode, up to the layer that is
evaluated), `head`, `online` (the classifier that learnt beside the pretraining), `images` (the splits and how they are seen),
`selection` (images for choosing settings: training and validation) and `final` (all labelled images and the test images),
`folder` (for pictures and tables), `metric` (by which classifiers of these images are judged) and `seed`. It gives `(name,
value)` pairs, a value being a number, or an array that is kept in a file, and none if it only draws; the framework adds the
protocol. Optional: `law`, a few words that belong to each number; `settings(num_images)`, a dict of what a recipe leaves
open and a number depends on, which may declare `metric` too; and `check(train, test)`, called before training with features of
width 0, so that missing labels cost no training; it may declare `validation`, `seed`, `channels` (of the images) and
`baselines` (that the recipe asks for) too. `learns = False` on the class says that nothing is learnt from `train`, so that it
may share images with `test`; `seed_holds_out = True` that the seed does no more than hold validation images out.
`validation_fraction` says which share of the training images is held out, by default 0.1.
"""

import re
from typing import Annotated, Literal

from annotated_types import Gt, Le
from pydantic import AfterValidator, Field

from sslkit.registry import Registry

LAYER = r"h|z|head\.[1-9][0-9]*"


def _layer(name: str) -> str:
    if not re.fullmatch(LAYER, name):
        raise ValueError('must be "h", "z", or "head.N" with N from 1')
    return name


registry = Registry(
    kind="evaluations",
    one="evaluation",
    builtins={
        "finetune": "sslkit.evaluations.finetune:FineTune",
        "finetune_grid": "sslkit.evaluations.finetune_grid:FineTuneGrid",
        "health": "sslkit.evaluations.health:Health",
        "knn": "sslkit.evaluations.knn:KNN",
        "linear": "sslkit.evaluations.linear:LinearProbe",
        "linear_cached": "sslkit.evaluations.linear_cached:LinearProbeCached",
        "linear_online": "sslkit.evaluations.linear_online:LinearOnline",
        "logistic": "sslkit.evaluations.logistic:LogisticProbe",
        "map_picture": "sslkit.evaluations.map_picture:MapPicture",
        "neighbours_picture": "sslkit.evaluations.neighbours_picture:NeighboursPicture",
        "probe_transform": "sslkit.evaluations.probe_transform:TransformProbe",
    },
    calls={
        "__call__": (
            "train",
            "test",
            "validation",
            "encoder",
            "head",
            "online",
            "images",
            "selection",
            "final",
            "folder",
            "metric",
            "seed",
        )
    },
    options={
        "train": (str, "train"),
        "test": (str, "test"),
        "validation": (str | None, None),
        "layer": (Annotated[str, AfterValidator(_layer), Field(json_schema_extra={"pattern": f"^({LAYER})$"})], "h"),
        "repeats": (Annotated[int, Gt(0)], 1),
        "labels_per_class": (Annotated[int, Gt(0)] | None, None),
        "labels_fraction": (Annotated[float, Gt(0), Le(1)] | None, None),
        "every_epochs": (Annotated[int, Gt(0)] | None, None),
        "baselines": (tuple[Literal["pixels", "untrained"], ...], ()),
    },
)
