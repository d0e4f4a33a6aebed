"""What is asked of an augmentation; a crop, which begins a list, and the operations after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from sslkit import signatures
from sslkit.augmentations import is_crop, is_last
from sslkit.draws import Draw
from sslkit.errors import UserError
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject

_N = 9
_Images = Float32[np.ndarray, "n h w c"]


def _draw(samples: Int64[np.ndarray, " n"]) -> Draw:
    return Draw(samples, 0, "conformance")


def _noise(subject: Subject, channels: int) -> _Images:
    images = np.random.default_rng(0).random((_N, subject.size, subject.size, channels), dtype=np.float32)
    images[1:2], images[2:3] = 0.0, 1.0
    return images


def _photos(channels: int) -> list[UInt8[np.ndarray, "_h _w c"]]:
    drawn = np.random.default_rng(0)
    sides = [(4, 90), (90, 4), (1, 1), *drawn.integers(8, 90, (_N - 3, 2)).tolist()]
    return [drawn.integers(0, 256, (*side, channels), dtype=np.uint8) for side in sides]


def _views(subject: Subject, samples: Int64[np.ndarray, " n"], channels: int, made: Any = None) -> Any:
    """The views of some of the images; of each the same, whichever others are there."""
    made = subject.make() if made is None else made
    if not is_crop(subject.load()):
        return made(_noise(subject, channels)[samples].copy(), _draw(samples))
    photos = [_photos(channels)[i] for i in samples]
    boxes = made.boxes(np.array([photo.shape[:2] for photo in photos]).reshape(-1, 2), _draw(samples))
    return made(photos, boxes)


def _channels(subject: Subject) -> int:
    """How many channels the images of most checks have: three, or one if it says that it does not take three."""
    try:
        _views(subject, np.arange(1), 3)
    except UserError:
        return 1
    return 3


def form_is_kept(subject: Subject) -> None:
    """An operation gives float32 images of the form it was given, and a crop squares of its `size`.

    It takes images of one and of three channels, or refuses one of these numbers by a UserError.
    """
    refused = []
    for channels in (1, 3):
        side = subject.make().size if is_crop(subject.load()) else subject.size
        with no_error(f"c = {channels}"):
            try:
                found = _views(subject, np.arange(_N), channels)
            except UserError as error:
                refused.append(str(error))
                continue
        form = (_N, side, side, channels)
        assert found.shape == form, f"c = {channels}: {found.shape} instead of {form}."
        assert found.dtype == np.float32, f"c = {channels}: it is {found.dtype}."
    assert len(refused) < 2, f"it takes neither: {refused}."


def values_stay_in_range(subject: Subject) -> None:
    """Values stay in [0, 1], in black and in white images too, unless the class says `last = True`."""
    found = _views(subject, np.arange(_N), _channels(subject))
    assert np.isfinite(found).all(), "some are not finite."
    if not is_last(subject.load()):
        assert found.min() >= 0, f"the least is {found.min()}."
        assert found.max() <= 1, f"the largest is {found.max()}."


def same_address_same_view(subject: Subject) -> None:
    """The same draw gives the same view, bit for bit: all its chance comes from the draw, and it keeps no state."""
    channels = _channels(subject)
    one, two = (_views(subject, np.arange(_N), channels) for _ in range(2))
    assert np.array_equal(one, two), "built anew, it gave another view."
    made = subject.make()
    first, second = (_views(subject, np.arange(_N), channels, made) for _ in range(2))
    assert np.array_equal(first, second), "the same object gave another view when it was called again."


def batch_does_not_matter(subject: Subject) -> None:
    """An image's view is the same alone as in a batch, and in whatever order: workers and ranks cut batches as they like."""
    channels = _channels(subject)
    whole = _views(subject, np.arange(_N), channels)
    for samples in (np.arange(_N)[::-1].copy(), *(np.array([i]) for i in range(_N))):
        found = _views(subject, samples, channels)
        assert np.array_equal(found, whole[samples]), f"images {samples.tolist()} look otherwise than in the whole batch."


def no_image_is_fine(subject: Subject) -> None:
    """A batch without images gives one without images: an operation may be applied to none of them."""
    if not is_crop(subject.load()):
        channels = _channels(subject)
        form = (0, subject.size, subject.size, channels)
        with no_error("no image"):
            found = _views(subject, np.arange(0), channels).shape
        assert found == form, f"it gave {found} for {form}."


def boxes_lie_in_the_image(subject: Subject) -> None:
    """A crop's boxes `(top, left, height, width)` are whole pixels, not empty, and inside of the image, an oblong one too."""
    if not is_crop(subject.load()):
        return
    sizes: Int64[np.ndarray, "n 2"] = np.array([photo.shape[:2] for photo in _photos(3)] * 20)
    boxes: Any = np.asarray(subject.make().boxes(sizes, _draw(np.arange(len(sizes)))))
    assert boxes.shape == (len(sizes), 4), f"their form is {boxes.shape}."
    assert boxes.dtype.kind == "i", f"they are {boxes.dtype}."
    assert (boxes[:, :2] >= 0).all(), "one begins outside."
    assert (boxes[:, 2:] >= 1).all(), "one is empty."
    assert (boxes[:, :2] + boxes[:, 2:] <= sizes).all(), "one reaches beyond the image."


def memory_that_is_given_is_used(subject: Subject) -> None:
    """A crop that declares `out` writes the same views into it, and gives it back."""
    made = subject.make()
    if not is_crop(subject.load()) or "out" not in signatures.declared(type(made).__call__, {"out": None}):
        return
    channels = _channels(subject)
    photos = _photos(channels)
    boxes = made.boxes(np.array([photo.shape[:2] for photo in photos]), _draw(np.arange(_N)))
    out = np.full((_N, made.size, made.size, channels), np.nan, dtype=np.float32)
    found = made(photos, boxes, out=out)
    assert found is out, "it gives back another array."
    assert np.array_equal(out, made(photos, boxes)), "what it writes there differs from what it gives."


CHECKS = (
    form_is_kept,
    values_stay_in_range,
    same_address_same_view,
    batch_does_not_matter,
    no_image_is_fine,
    boxes_lie_in_the_image,
    memory_that_is_given_is_used,
)
