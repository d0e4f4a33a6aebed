"""Online check: whether the classifier that learns beside the pretraining can be evaluated, before it learns anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sslkit import build
from sslkit.datasets.images import Images
from sslkit.embedding import Split
from sslkit.errors import DataError
from sslkit.leaks import refuse_seen_in_pretraining
from sslkit.recipe import Recipe
from sslkit.sections import Part

_SHOWN = 5


def check_online(part: Part, recipe: Recipe, *, images: Callable[[str], Images], train: Split, test: Split) -> None:
    """Raise DataError if an evaluation looks at a classifier that the recipe does not train, or that knows other classes.

    Args:
        part: the evaluation.
        recipe: says whether a classifier learns, and from which images.
        images: split name -> images.
        train: the evaluation's training split, whose labels name the classes.
        test: what is judged.
    """
    if not recipe.train.online_probe:
        raise DataError(
            "looks at the classifier that learns beside the pretraining; set train.online_probe = true. A run that was trained "
            "without it has none, and has to be trained anew."
        )
    if part.options["baselines"] or part.options["layer"] != "h":
        raise DataError("a classifier learns on h of the trained encoder only; leave baselines and layer out.")
    name = recipe.data.options["split"]
    learnt = build.training_images(recipe, images)
    num_classes = require_classes(learnt, name)
    for split in (train, test):
        theirs = build.num_classes(split.images)
        named = learnt.classes is not None and split.images.classes is not None
        if (learnt.classes != split.images.classes) if named else (theirs is not None and theirs > num_classes):
            raise DataError(
                f"the classifier beside the pretraining learns {num_classes} classes, those of {name!r}"
                f"{_shown(learnt.classes)}, and the split {split.name!r} has {theirs}{_shown(split.images.classes)}. "
                f"Evaluate it on splits with the same classes."
            )
    refuse_seen_in_pretraining(learnt, name, test)


def require_classes(images: Images, split: str) -> int:
    """How many classes a classifier beside the pretraining learns.

    Raises:
        DataError: the images have no labels, or not one each.
    """
    num_classes = build.num_classes(images)
    if images.labels is None:
        raise DataError(f"train.online_probe needs labels, and the split {split!r} has none.")
    if num_classes is None or images.labels.min() < 0:
        raise DataError(f"train.online_probe needs one label an image, and not all images of the split {split!r} have one.")
    return num_classes


def _shown(classes: Sequence[str] | None) -> str:
    if classes is None:
        return ""
    return f" ({', '.join(classes[:_SHOWN])}{', ...' if len(classes) > _SHOWN else ''})"
