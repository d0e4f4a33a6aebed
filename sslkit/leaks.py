"""Leaks: images that are learnt from can judge nothing, so splits that share some are refused, whatever they are called."""

from __future__ import annotations

from sslkit.datasets.images import Images
from sslkit.datasets.origins import num_shared
from sslkit.embedding import Split
from sslkit.errors import DataError


def refuse_leaks(train: Split, validation: Split | None, test: Split) -> None:
    """Raise DataError if a split that judges shares stored images with one that is learnt from.

    Training and test split may be one and the same, by the same name: whoever writes that wants it, the protocol says it, and
    `knn` leaves an image out of its own neighbours by it. Of a validation split each evaluation says so itself.

    Args:
        train: what is learnt from.
        validation: what settings are chosen on, and what is learnt from in the end.
        test: what is judged.
    """
    pairs = [(train, test), *([(train, validation), (validation, test)] if validation is not None else [])]
    for learnt, judged in pairs:
        number = 0 if learnt.name == judged.name else num_shared(learnt.images, judged.images)
        if number:
            raise DataError(
                f"the splits {learnt.name!r} ({len(learnt.images)} images) and {judged.name!r} ({len(judged.images)}) share "
                f"{number} images; what was learnt from the one can't be judged on the other. Name splits that share none."
            )


def refuse_seen_in_pretraining(images: Images, name: str, test: Split) -> None:
    """Raise DataError if a split that judges holds images whose labels the pretraining sees, under the same name too.

    No protocol says on which images a run was pretrained, so nothing beside the number would tell.

    Args:
        images: those of the pretraining.
        name: of the split that they are from.
        test: what is judged.
    """
    if number := len(images) if name == test.name else num_shared(images, test.images):
        raise DataError(
            f"the pretraining on {name!r} sees the labels of {number} of the {len(test.images)} images of the split "
            f"{test.name!r}, so it can't be judged on it. Name another one with 'test'."
        )
