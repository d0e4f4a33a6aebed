"""Contact sheet: what a recipe's views look like, as one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from PIL import Image

from sslkit import build
from sslkit.augmentations import is_crop
from sslkit.augmentations.all_of import AllOf
from sslkit.augmentations.center_crop import CenterCrop
from sslkit.augmentations.composition import Operation, Turn
from sslkit.augmentations.one_of import OneOf
from sslkit.datasets.images import Images
from sslkit.draws import Draw, Draws
from sslkit.errors import UserError
from sslkit.grid import Cell, drawn, fitted
from sslkit.loader import Loader, Plan
from sslkit.recipe import Recipe
from sslkit.shared_operations import shared_operations

NUM_SAMPLES = 6  # rows of a sheet, if nobody asks for others
NUM_DRAWS = 8  # columns of a comparison
_SMALLEST = 128  # pixels that a view's side has in the picture, at least


def sheet(recipe: Recipe, images: Images, *, samples: Sequence[int] = (), epoch: int = 0) -> Image.Image:
    """A row a sample: the original, then its views in an epoch, each with the operations that it went through.

    They are the views of training, to the bit: the draws have the same addresses.

    Args:
        recipe: its `views` and its seed.
        images: what it is trained on.
        samples: numbers of images; by default a few, spread over the dataset.
        epoch: 0 is the first.

    Raises:
        UserError: a sample is none of the dataset's.
    """
    loader = _loader(recipe, images)
    indices = _indices(samples or np.linspace(0, len(images) - 1, min(NUM_SAMPLES, len(images))).round().astype(int), images)
    views = loader.views_of(indices, epoch=epoch)
    captions = [[", ".join(names) for names in applied(loader, number, indices, epoch=epoch)] for number in range(len(views))]
    rows = []
    for row, index in enumerate(indices.tolist()):
        cells = [Cell(_original(images.read(index, 1), views[0].shape[1]), _name(images, index))]
        cells += [Cell(_shown(view[row]), told[row]) for view, told in zip(views, captions, strict=True)]
        rows.append(cells)
    return drawn(rows, ["original", *(f"view {number + 1}, epoch {epoch}" for number in range(len(views)))])


def applied(loader: Loader, number: int, indices: Int64[np.ndarray, " n"], *, epoch: int) -> Iterator[list[str]]:
    """For each image the names of the operations that are applied to it in one of its views, after the crop, in their order."""
    at = Draws(indices, *loader.address(epoch), number)
    chosen = [turn for operation in loader.views[number].operations for turn in _turns(operation, at)]
    for row in range(len(indices)):
        yield [_plain_name(operation) for operation, rows in chosen if rows[row]]


def _turns(operation: Operation, at: Callable[..., Draw]) -> Iterator[Turn]:
    """An operation and the images that it is applied to; instead of one that holds others those inside of it."""
    chosen = operation.chosen(at)
    if not isinstance(operation.apply, OneOf | AllOf):
        yield Turn(operation, chosen)
        return
    draw = at(operation.address)
    for inner, taken in operation.apply.turns(draw):
        for innermost, rows in _turns(inner, draw.within):
            yield Turn(innermost, chosen & taken & rows)


def _plain_name(operation: Operation) -> str:
    return operation.address.partition("#")[0]


def comparison(recipe: Recipe, images: Images, *, sample: int = 0, epoch: int = 0) -> Image.Image:
    """A row an operation, as in the paper's figure 4 (arXiv:2002.05709): one image under several draws of each, alone.

    The crop is drawn from the original, every other operation from its centre crop, and applied whatever its `p` says. Where
    views differ, a row says in which ones its operation stands, with what p, and at which size it is drawn, that of the first.

    Args:
        recipe: its `views` and its seed; an operation that several views share is drawn once.
        images: what it is trained on.
        sample: the number of an image.
        epoch: the first draw is that of this epoch, the next that of the next.

    Raises:
        UserError: the sample is none of the dataset's.
    """
    loader, indices = _loader(recipe, images), _indices([sample], images)
    original = images.read(sample, 1)
    differ = any(parts != recipe.views[0] for parts in recipe.views)
    rows = []
    for shared in shared_operations(recipe, loader.views):
        draws = (Draws(indices, *loader.address(epoch + turn), shared.first) for turn in range(NUM_DRAWS))
        size = loader.views[shared.first].size
        before, *after = alone(shared.operation, original, draws, size=size)
        where = f", {shared.where()}, {size} pixels" if differ else ""
        rows.append([before._replace(caption=before.caption + where), *after])
    return drawn(rows, ["from", *(f"epoch {epoch + turn}" for turn in range(NUM_DRAWS))])


def alone(operation: Operation, original: UInt8[np.ndarray, "h w c"], draws: Iterable[Draws], *, size: int) -> list[Cell]:
    """What one operation begins with, under its name, then what it makes of that under several draws."""
    sizes = np.array([original.shape[:2]], dtype=np.int64)
    name = _plain_name(operation)
    if is_crop(type(operation.apply)):
        views = [operation.apply([original], operation.apply.boxes(sizes, at(operation.address))) for at in draws]
        return [Cell(_original(original, size), name), *(Cell(_shown(view[0])) for view in views)]
    center = CenterCrop(size=size, fraction=1.0)
    plain = center([original], center.boxes(sizes, Draw(np.zeros(1, dtype=np.int64))))
    views = [operation.apply(plain.copy(), at(operation.address)) for at in draws]
    return [Cell(_shown(plain[0]), name), *(Cell(_shown(view[0])) for view in views)]


def _loader(recipe: Recipe, images: Images) -> Loader:
    """It says where the draws of training begin."""
    return Loader(images, [build.view(parts) for parts in recipe.views], plan=Plan(len(images), 1, recipe.train.seed))


def _indices(samples: Sequence[int] | np.ndarray, images: Images) -> Int64[np.ndarray, " n"]:
    for sample in samples:
        if not 0 <= sample < len(images):
            raise UserError(f"--sample: must be from 0 to {len(images) - 1}, as there are {len(images)} images, is {sample}.")
    return np.asarray(samples, dtype=np.int64)


def _name(images: Images, index: int) -> str:
    if images.labels is None or images.classes is None:
        return f"sample {index}"
    if images.labels.ndim > 1:
        return ", ".join([f"sample {index}", *(images.classes[at] for at in np.flatnonzero(images.labels[index] == 1))])
    if not 0 <= images.labels[index] < len(images.classes):
        return f"sample {index}"
    return f"sample {index}, {images.classes[images.labels[index]]}"


def _shown(image: Float32[np.ndarray, "s s c"]) -> UInt8[np.ndarray, "_s _s 3"]:
    """A view as a picture: clipped to [0, 1], in colour, small ones enlarged without smoothing."""
    pixels = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    times = _times(len(pixels))
    return np.broadcast_to(pixels.repeat(times, axis=0).repeat(times, axis=1), (len(pixels) * times,) * 2 + (3,))


def _times(size: int) -> int:
    """By how much a view of this size is enlarged."""
    return -(-_SMALLEST // size)


def _original(image: UInt8[np.ndarray, "h w c"], size: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """An original, its longer side as long as a view is shown."""
    return fitted(image, size * _times(size))
