"""Shapes: ten classes of form, drawn on the fly, so that everything can be tried without a download.

Form is the only thing that tells the class. Colour, position, size, rotation, background and texture are drawn at random, so
that raw pixels say little about it. Image `index` of a split is a pure function of (seed, split, index).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import cv2
import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Float64, Int64, UInt8

from sslkit.datasets.origins import Origins, of_rows
from sslkit.datasets.splits import check_split
from sslkit.draws import Draw

Outline = Float64[np.ndarray, "points 2"]  # corners in the unit disc

_MEMORY = 2**28  # bytes of drawn images that are kept
_SUPERSAMPLING = 4  # a form is filled at this multiple of the size and averaged down: smooth edges
_FRACTION_BITS = 4  # of the corner coordinates that OpenCV fills between


def _arc(radius: float, start: float, stop: float, *, center: float = 0.0) -> Outline:
    angle = np.linspace(start, stop, 48)
    return np.stack([center + radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _polygon(corners: int, *, radii: tuple[float, ...] = (1.0,)) -> Outline:
    angle = np.arange(corners) * 2 * np.pi / corners
    radius = np.resize(radii, corners)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _corners(*points: tuple[float, float]) -> Outline:
    return np.array(points, dtype=np.float64)


def _heart() -> Outline:
    t = np.linspace(0, 2 * np.pi, 64)
    x = np.sin(t) ** 3
    y = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return np.stack([x, y], axis=1)


# class -> its outlines; the area between two outlines is filled (even-odd rule)
FORMS: dict[str, Callable[[], list[Outline]]] = {
    "arrow": lambda: [_corners((1, 0), (0.1, 0.75), (0.1, 0.3), (-1, 0.3), (-1, -0.3), (0.1, -0.3), (0.1, -0.75))],
    "crescent": lambda: [np.concatenate([_arc(1.0, 0.9, 5.38), _arc(0.85, 5.0, 1.28, center=0.4)])],
    "cross": lambda: [
        _corners(
            (1, 0.28), (0.28, 0.28), (0.28, 1), (-0.28, 1), (-0.28, 0.28), (-1, 0.28),
            (-1, -0.28), (-0.28, -0.28), (-0.28, -1), (0.28, -1), (0.28, -0.28), (1, -0.28),
        )
    ],
    "disc": lambda: [_arc(0.9, 0, 2 * np.pi)],
    "heart": lambda: [_heart()],
    "ell": lambda: [_corners((-0.7, 0.95), (-0.15, 0.95), (-0.15, -0.4), (0.75, -0.4), (0.75, -0.95), (-0.7, -0.95))],
    "ring": lambda: [_arc(1.0, 0, 2 * np.pi), _arc(0.6, 0, 2 * np.pi)],
    "square": lambda: [_polygon(4)],
    "star": lambda: [_polygon(10, radii=(1.0, 0.42))],
    "triangle": lambda: [_polygon(3)],
}  # fmt: skip


class Shapes:
    """Ten classes of form on textured ground, drawn on the fly.

    Args:
        split: train, val or test; the three share no image.
        num_images: images in this data set, the same for every split but `val` and `test`, which have a quarter of it.
        size: side of the square images in pixels.
        channels: 3 for colour, 1 for grey.
        seed: another seed gives other images.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        split: str = "train",
        *,
        num_images: Annotated[int, Gt(0)] = 4000,
        size: Annotated[int, Ge(8)] = 32,
        channels: Literal[1, 3] = 3,
        seed: int = 0,
    ) -> None:
        check_split(split, self.splits, dataset="shapes")
        self.channels: int = channels
        self.classes: tuple[str, ...] | None = tuple(sorted(FORMS))
        self._address = (seed, "shapes", split)
        self._size = size
        count = num_images if split == "train" else max(1, num_images // 4)
        self.labels: Int64[np.ndarray, " n"] | None = np.arange(count, dtype=np.int64) % len(FORMS)
        self._drawn: dict[int, UInt8[np.ndarray, "h w c"]] = {}
        self._kept = count * size * size * channels <= _MEMORY

    def __len__(self) -> int:
        """Number of images."""
        assert self.labels is not None
        return len(self.labels)

    @property
    def origins(self) -> Origins:
        """Which image each is of all that can be drawn."""
        return of_rows(np.arange(len(self)), *self._address)

    @property
    def contents(self) -> str:
        """What the images are drawn from: with it they change, and with nothing else."""
        seed, _, split = self._address
        return f"shapes of seed {seed}, {split}: {len(self)}, {self._size} x {self._size} x {self.channels}"

    def sizes(self, indices: Int64[np.ndarray, " m"]) -> Int64[np.ndarray, "m 2"]:
        """(height, width) of some images, in pixels."""
        return np.full((len(indices), 2), self._size, dtype=np.int64)

    def read(self, index: int, reduction: int = 1) -> UInt8[np.ndarray, "h w c"]:  # noqa: ARG002 (drawn at one size)
        """One image; drawn when it is first asked for, and kept where all of them fit into memory."""
        if index in self._drawn:
            return self._drawn[index]
        image = self._draw(index)
        if self._kept:
            self._drawn[index] = image
        return image

    def _draw(self, index: int) -> UInt8[np.ndarray, "h w c"]:
        assert self.classes is not None
        draw = Draw(np.array([index]), *self._address)
        ground, form = _colors(draw)
        image = _texture(draw, size=self._size, color=ground)
        mask = _mask(draw, FORMS[self.classes[index % len(FORMS)]](), size=self._size)[:, :, None]
        image = image * (1 - mask) + _texture(draw, size=self._size, color=form) * mask
        image += 0.04 * draw.normal(size=image.size)[0].reshape(image.shape)  # grain
        if self.channels == 1:
            image = image.mean(axis=2, keepdims=True)
        return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)


def _colors(draw: Draw) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]:
    """Colours of ground and form, apart in brightness; which of them is the brighter is left to chance."""
    ground, form = draw.uniform(size=3)[0], draw.uniform(size=3)[0]
    dark, bright = 0.1 + 0.3 * draw.uniform()[0], 0.65 + 0.3 * draw.uniform()[0]
    if draw.chance(0.5)[0]:
        dark, bright = bright, dark
    return ground * 0.6 + dark - ground.mean() * 0.6, form * 0.6 + bright - form.mean() * 0.6


def _texture(draw: Draw, *, size: int, color: Float64[np.ndarray, " 3"]) -> Float64[np.ndarray, "size size 3"]:
    """A colour with waves of random direction, length and strength."""
    angle, phase = draw.uniform(0.0, 2 * np.pi)[0], draw.uniform(0.0, 2 * np.pi)[0]
    waves, strength = draw.uniform(0.5, 3.0)[0], draw.uniform(0.0, 0.06)[0]
    y, x = np.mgrid[:size, :size] / size
    wave = np.sin(2 * np.pi * waves * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    textured: Float64[np.ndarray, "size size 3"] = color + strength * wave[:, :, None]
    return textured


def _mask(draw: Draw, outlines: list[Outline], *, size: int) -> Float64[np.ndarray, "size size"]:
    """How much of each pixel the form covers, at a random place, size and rotation."""
    angle, radius = draw.uniform(0.0, 2 * np.pi)[0], draw.uniform(0.2, 0.38)[0]
    center = draw.uniform(radius, 1 - radius, size=2)[0]
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    fine = size * _SUPERSAMPLING
    corners = [((outline @ rotation.T * radius + center) * fine * 2**_FRACTION_BITS) for outline in outlines]
    canvas = np.zeros((fine, fine), np.uint8)
    cv2.fillPoly(canvas, [corner.astype(np.int32) for corner in corners], 255, shift=_FRACTION_BITS)
    covered: Float64[np.ndarray, "size size"] = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA) / 255.0
    return covered
