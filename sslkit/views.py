"""Views: what is done to images before a network sees them, each number of it drawn at an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from sslkit import signatures
from sslkit.augmentations import is_crop, is_last
from sslkit.augmentations.composition import Operation, addressed
from sslkit.datasets.images import Images
from sslkit.draws import Draws
from sslkit.errors import ContractError

_CHUNK_BYTES = 1 << 22  # small images are worked on in chunks, so that what a call costs counts little,
_LARGE_BYTES = 1 << 18  # and large ones one by one, so that they stay in a core's cache


class View:
    """A crop and the operations after it, applied to images at addressed draws.

    Args:
        operations: the crop first; objects, or `(name, object)`, or `(name, object, p)`, as `addressed` takes them.

    Raises:
        ContractError: it does not begin with a crop, or holds another one, or what is no operation.
    """

    def __init__(self, operations: Sequence[Any]) -> None:
        listed = list(addressed(operations))
        if [is_crop(type(operation.apply)) for operation in listed] != [True, *[False] * (len(listed) - 1)]:
            names = ", ".join(operation.address.partition("#")[0] for operation in listed)
            raise ContractError(
                f"view: must begin with a crop, for instance RandomResizedCrop(size=224), and hold no other one; "
                f"it holds {names or 'nothing'}."
            )
        self.crop, *self.operations = listed
        self.size: int = self.crop.apply.size
        self._writes_into = "out" in signatures.declared(type(self.crop.apply).__call__, {"out": None})

    @property
    def before_last(self) -> View:
        """The view without `last`: its images are in [0, 1]."""
        kept = [one for one in (self.crop, *self.operations) if one not in self.last]
        return View([(one.address.partition("#")[0], one.apply, one.p) for one in kept])

    @property
    def last(self) -> list[Operation]:
        """The operation that must stand last, since what it gives leaves [0, 1]; none, as a rule."""
        return [one for one in self.operations if is_last(type(one.apply))]

    def boxes(self, sizes: Int64[np.ndarray, "n 2"], at: Draws) -> Int64[np.ndarray, "n 4"]:
        """The crop's boxes (top, left, height, width), in pixels of images of these sizes."""
        boxes: Int64[np.ndarray, "n 4"] = self.crop.apply.boxes(sizes, at(self.crop.address))
        return boxes

    def apply(
        self,
        images: Sequence[UInt8[np.ndarray, "_h _w c"]],
        boxes: Int64[np.ndarray, "n 4"],
        at: Draws,
        *,
        out: Float32[np.ndarray, "n s s c"] | None = None,
    ) -> Float32[np.ndarray, "n s s c"]:
        """Crop the boxes out and apply the operations, at addresses inside of the view's; in `out` if it is given.

        A crop that declares `out` writes there at once, and operations that work in place stay there.
        """
        memory = {"out": out} if self._writes_into else {}
        result: Float32[np.ndarray, "n s s c"] = self.crop.apply(list(images), boxes, **memory)
        for operation in self.operations:
            result = operation(result, at)
        if out is None:
            return result
        if result is not out:  # though it may be another view of the same memory, a mirrored one for instance
            out[:] = result
        return out


def prepare(
    images: Images,
    views: Sequence[View],
    indices: Int64[np.ndarray, " n"],
    *,
    address: tuple[int | str, ...],
    out: Sequence[Float32[np.ndarray, "n _s _s c"]],
) -> None:
    """Write the views of some images into `out`, one array a view; each image is read once for all views."""
    largest = max(4 * view.size**2 * images.channels for view in views)  # bytes
    chunk = 1 if largest > _LARGE_BYTES else _CHUNK_BYTES // largest
    sizes = images.sizes(indices)
    draws = [Draws(indices, *address, number) for number in range(len(views))]
    boxes = [view.boxes(sizes, at) for view, at in zip(views, draws, strict=True)]
    reductions = _reductions(views, boxes).tolist()
    for start in range(0, len(indices), chunk):
        rows = slice(start, min(start + chunk, len(indices)))
        pixels = [images.read(*one) for one in zip(indices[rows].tolist(), reductions[rows], strict=True)]
        read = np.array([image.shape[:2] for image in pixels], dtype=np.int64)  # (n, 2)
        for view, at, all_boxes, result in zip(views, draws, boxes, out, strict=True):
            scaled = _scaled(all_boxes[rows], sizes[rows], read)
            view.apply(pixels, scaled, at.rows(rows), out=result[rows])


def _reductions(views: Sequence[View], boxes: Sequence[Int64[np.ndarray, "n 4"]]) -> Int64[np.ndarray, " n"]:
    """For each image the largest reduction at which every box still has twice as many pixels as its view, either way.

    With fewer, rounding a box to pixels shows; with so many, a view is better than without (docs/log.md, 2026-11-24).
    """
    spare = np.min([box[:, 2:].min(axis=1) / view.size for view, box in zip(views, boxes, strict=True)], axis=0)
    return np.select([spare >= 16, spare >= 8, spare >= 4], [8, 4, 2], 1).astype(np.int64)


def _scaled(
    boxes: Int64[np.ndarray, "n 4"], sizes: Int64[np.ndarray, "n 2"], read: Int64[np.ndarray, "n 2"]
) -> Int64[np.ndarray, "n 4"]:
    """Boxes in the pixels of the images as they were read, where a decoder has reduced them."""
    if (read == sizes).all():
        return boxes
    ratio = np.tile(read / sizes, 2)  # (n, 4)
    scaled = np.maximum(np.round(boxes * ratio), [0, 0, 1, 1]).astype(np.int64)
    scaled[:, :2] = np.minimum(scaled[:, :2], read - 1)
    scaled[:, 2:] = np.minimum(scaled[:, 2:], read - scaled[:, :2])
    return scaled
