"""What is asked of a dataset; of one that needs files, once its parameters say where they are."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from sslkit.errors import UnknownSplit
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject

_LOOKED_AT = 8  # images, spread over the split


def _made(subject: Subject) -> Any:
    return subject.make(split=_splits(subject)[0])


def _splits(subject: Subject) -> tuple[str, ...]:
    return tuple(getattr(subject.load(), "splits", ("train",)))


def _rows(images: Any) -> list[int]:
    return sorted(set(np.linspace(0, len(images) - 1, _LOOKED_AT).astype(int).tolist()))


def every_split_opens(subject: Subject) -> None:
    """Each split that the class names opens and has images."""
    for split in _splits(subject):
        with no_error(repr(split)):
            found = len(subject.make(split=split))
        assert found > 0, f"{split!r} is empty."


def unknown_splits_are_refused(subject: Subject) -> None:
    """If the class names its splits, any other is refused by an UnknownSplit, and is not taken for one of them."""
    if not hasattr(subject.load(), "splits"):
        return
    with no_error("'no_such_split'"):
        try:
            subject.make(split="no_such_split")
        except UnknownSplit:
            return
    raise AssertionError("'no_such_split' opens.")


def images_are_of_one_kind(subject: Subject) -> None:
    """`read` gives uint8 `(h, w, c)`, RGB or gray, and c is `.channels`."""
    images = _made(subject)
    for row in _rows(images):
        found = images.read(row, 1)
        assert isinstance(found, np.ndarray), f"image {row} is a {type(found).__name__}."
        assert found.dtype == np.uint8, f"image {row} is {found.dtype}."
        assert found.ndim == 3, f"image {row} has the form {found.shape}."
        assert found.shape[2] == images.channels, f"image {row} has {found.shape[2]} channels, {images.channels} are declared."


def sizes_are_true(subject: Subject) -> None:
    """`sizes` gives the height and width of each image that is asked for, as `read` gives it at full size."""
    images = _made(subject)
    rows = np.array(_rows(images)[::-1])
    sizes = np.asarray(images.sizes(rows))
    assert sizes.shape == (len(rows), 2), f"its form is {sizes.shape}."
    for row, size in zip(rows.tolist(), sizes.tolist(), strict=True):
        found = images.read(row, 1).shape[:2]
        assert found == tuple(size), f"image {row} is {found}, and {tuple(size)} was said of it."


def reading_again_gives_the_same(subject: Subject) -> None:
    """An image is the same each time it is read: all chance belongs to augmentations."""
    images = _made(subject)
    for row in _rows(images):
        assert np.array_equal(images.read(row, 1), images.read(row, 1)), f"image {row} changed."


def reductions_are_of_the_image(subject: Subject) -> None:
    """With a reduction of 2, 4 or 8 an image comes at its own size, or at about that fraction of it."""
    images = _made(subject)
    row = _rows(images)[-1]
    height, width = images.read(row, 1).shape[:2]
    for reduction in (2, 4, 8):
        found = images.read(row, reduction).shape[:2]
        smaller = (height / reduction, width / reduction)
        fine = found == (height, width) or all(abs(a - b) <= 1 for a, b in zip(found, smaller, strict=True))
        assert fine, f"with a reduction of {reduction} an image of {(height, width)} came as {found}."


def labels_fit(subject: Subject) -> None:
    """Labels are int64, one an image, from 0 to the number of classes; or one column a class of 1, 0 and -1; or None."""
    images = _made(subject)
    labels, classes = images.labels, images.classes
    if labels is None:
        return
    assert labels.dtype == np.int64, f"they are {labels.dtype}."
    assert len(labels) == len(images), f"there are {len(labels)} for {len(images)} images."
    if labels.ndim == 2:
        assert set(np.unique(labels)) <= {-1, 0, 1}, f"they are {np.unique(labels)[:5]}."
        assert classes is None or labels.shape[1] == len(classes), f"{labels.shape[1]} columns, {len(classes)} classes."
        return
    assert labels.min() >= 0, f"the least is {labels.min()}."
    assert classes is None or labels.max() < len(classes), f"the largest is {labels.max()}, of {len(classes)} classes."


def origins_fit(subject: Subject) -> None:
    """`origins`, if there are any, are uint64 and one an image: evaluations refuse splits that share some."""
    images = _made(subject)
    origins = getattr(images, "origins", None)
    if origins is not None:
        assert origins.dtype == np.uint64, f"they are {origins.dtype}."
        assert origins.shape == (len(images),), f"their form is {origins.shape}, and there are {len(images)} images."


def workers_can_have_it(subject: Subject) -> None:
    """It goes through pickle and reads the same there: workers that are started anew get it so."""
    images = _made(subject)
    row = _rows(images)[0]
    with no_error("pickle"):
        copied = pickle.loads(pickle.dumps(images))
        found = copied.read(row, 1)
    assert np.array_equal(images.read(row, 1), found), f"image {row} differs in the copy."


CHECKS = (
    every_split_opens,
    unknown_splits_are_refused,
    images_are_of_one_kind,
    sizes_are_true,
    reading_again_gives_the_same,
    reductions_are_of_the_image,
    labels_fit,
    origins_fit,
    workers_can_have_it,
)
