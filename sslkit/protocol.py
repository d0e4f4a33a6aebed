"""Protocol: what stands beside a number, all that it depends on and that another person needs to get it again."""

from __future__ import annotations

from typing import Any

from sslkit import build, signatures
from sslkit.datasets.images import Metric
from sslkit.recipe import Recipe
from sslkit.sections import Part


def protocol(
    recipe: Recipe,
    part: Part,
    *,
    digest: str,
    layer: str,
    num_train: int,
    num_test: int,
    metric: Metric,
    num_validation: int | None = None,
) -> dict[str, Any]:
    """The protocol of an evaluation.

    Args:
        recipe: of the run whose encoder is evaluated, with what it is evaluated on.
        part: the evaluation as the recipe has it.
        digest: of the recipe that was trained.
        layer: which output of the network is evaluated, such as `h`.
        num_train: training images, after `labels_per_class` or `labels_fraction`.
        num_test: test images.
        metric: by which classifiers of these images are judged.
        num_validation: images on which settings are chosen, and which are learnt too in the end; None if nothing is chosen.
    """
    evaluation = build.component(part)
    section = part.to_dict()
    for key in ("every_epochs", "baselines", "layer"):
        section.pop(key, None)
    if section.get("repeats") == 1:
        del section["repeats"]
    if "validation" in section:
        section.pop("validation_fraction", None)  # nothing is held out
    return {
        "evaluation": section.pop("name"),
        "law": getattr(evaluation, "law", ""),
        "features": layer,
        **section,
        **_settings(evaluation, num_train, metric=metric),  # what came of the section, an index with fewer lists for instance
        "train_images": num_train,
        **({} if num_validation is None else {"validation_images": num_validation}),
        "test_images": num_test,
        "view": [one.to_dict() for one in recipe.evaluation_augmentations],
        "seed": recipe.train.seed,
        "recipe": digest,
    }


def images_learnt(evaluation: Any, num_train: int) -> int | None:
    """How many images an evaluation will have been through at its end, where its settings tell."""
    settings = _settings(evaluation, num_train)
    if "steps" in settings:
        return int(settings["steps"]) * min(num_train, int(settings["batch_size"]))
    return int(settings["epochs"]) * num_train if "epochs" in settings else None


def which_images(data: Part) -> dict[str, Any]:
    """What of the recipe's data says which images a split has."""
    return {key: value for key, value in data.to_dict().items() if key not in ("workers", "download", "limit", "split")}


def _settings(evaluation: Any, num_train: int, *, metric: Metric = "top1") -> dict[str, Any]:
    """What an evaluation derives from its images: rates, epochs, steps, and by what it chooses."""
    tells = getattr(evaluation, "settings", None)
    return dict(tells(num_train, **signatures.declared(tells, {"metric": metric}))) if tells else {}
