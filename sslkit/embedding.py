"""Images -> features: a frozen encoder seen through its evaluation view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor, nn

from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.images import Images
from sslkit.datasets.subset import Subset
from sslkit.draws import Draws
from sslkit.evaluations.features import Features
from sslkit.evaluations.frozen import require_frozen
from sslkit.features_file import read_features, write_features
from sslkit.loader import Batch, Loader, Plan
from sslkit.views import View


class Split:
    """One split as evaluations see it: its images, its name, and the view and workers that bring them to the network."""

    def __init__(
        self,
        images: Images,
        name: str,
        *,
        view: View,
        seed: int = 0,
        workers: int = 0,
        poll: Callable[[], None] = lambda: None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.images = images
        self.name = name
        self.view = view
        self.seed = seed
        self.workers = workers
        self.poll = poll  # called at every batch; it stops the work by raising
        self.progress = progress  # called with the number of images in each batch that is learnt

    def of(
        self,
        images: Images,
        *,
        view: View | None = None,
        seed: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Split:
        """Other images, seen in the same way; view, seed and progress are its own unless others are given."""
        return Split(
            images,
            self.name,
            view=view or self.view,
            seed=self.seed if seed is None else seed,
            workers=self.workers,
            poll=self.poll,
            progress=progress or self.progress,
        )

    def batches(self, batch_size: int) -> Iterator[Float32[Tensor, "n c s s"]]:
        """The images in order, in the evaluation view."""
        plan = Plan(len(self.images), min(batch_size, len(self.images)), self.seed, shuffle=False)
        loader = Loader(self.images, [self.view], plan=plan, workers=self.workers, label="evaluate")
        for batch in loader.batches(0, plan.batches_per_epoch):
            self.poll()
            yield batch.views[0]

    def augmented_batches(self, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The images shuffled, cropped and flipped at random (arXiv:2002.05709, B.6), with their labels; the tail too."""
        for batch in self._augmented(epoch, batch_size):
            assert batch.labels is not None, "they have been checked"
            yield batch.views[0], batch.labels

    def augmented_views(self, epoch: int, batch_size: int) -> Iterator[Tensor]:
        """The same images without their labels, which they need not have."""
        return (batch.views[0] for batch in self._augmented(epoch, batch_size))

    def _augmented(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        plan = Plan(len(self.images), min(batch_size, len(self.images)), self.seed, shuffle=True, keep_tail=True)
        loader = Loader(self.images, [self._random_view()], plan=plan, workers=self.workers, label="probe")
        first = epoch * plan.batches_per_epoch
        for batch in loader.batches(first, first + plan.batches_per_epoch):
            self.poll()
            self.progress(len(batch.indices))
            yield batch

    def pairs(self, rows: Int64[np.ndarray, " k"], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Two views of some images, in this order, each cropped and flipped at random as above."""
        plan = Plan(len(rows), min(batch_size, len(rows)), self.seed, shuffle=False)
        views = [self._random_view(), self._random_view()]
        loader = Loader(Subset(self.images, rows), views, plan=plan, workers=self.workers, label="pairs")
        for batch in loader.batches(0, plan.batches_per_epoch):
            self.poll()
            yield batch.views[0], batch.views[1]

    def _random_view(self) -> View:
        """A random crop and flip, then all that the evaluation view does to its own crop, such as `normalize`."""
        rest = [(one.address.partition("#")[0], one.apply, one.p) for one in self.view.operations]
        return View([RandomResizedCrop(size=self.view.size), HorizontalFlip(), *rest])


class Pair:
    """The two splits of an evaluation, for those that run the encoder themselves (`EvaluationImages`)."""

    def __init__(self, train: Split, test: Split) -> None:
        self.train = train
        self.test = test
        self.classes = train.images.classes
        self.size = train.view.size

    @property
    def before_last(self) -> Pair:
        """The same images in [0, 1], without what the view does last."""
        return Pair(*(split.of(split.images, view=split.view.before_last) for split in (self.train, self.test)))

    def last(self, images: Float32[np.ndarray, "n s s c"], at: Draws) -> Float32[np.ndarray, "n s s c"]:
        """What the view does last."""
        for operation in self.test.view.last:
            images = operation(images, at)
        return images

    @property
    def train_labels(self) -> Int64[np.ndarray, "n *c"] | None:
        """Class indices of the training split."""
        return self.train.images.labels

    @property
    def test_labels(self) -> Int64[np.ndarray, "n *c"] | None:
        """Class indices of the test split."""
        return self.test.images.labels

    def train_batches(self, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Training images, augmented, with their labels."""
        return self.train.augmented_batches(epoch, batch_size)

    def train_views(self, epoch: int, batch_size: int) -> Iterator[Tensor]:
        """Training images, augmented, without labels."""
        return self.train.augmented_views(epoch, batch_size)

    def test_batches(self, batch_size: int) -> Iterator[Tensor]:
        """Test images in order."""
        return self.test.batches(batch_size)

    def test_pairs(self, rows: Int64[np.ndarray, " k"], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Two augmented views of some test images."""
        return self.test.pairs(rows, batch_size)

    def train_image(self, row: int) -> UInt8[np.ndarray, "h w c"]:
        """An original of the training split, as it is stored."""
        return self.train.images.read(row, 1)

    def test_image(self, row: int) -> UInt8[np.ndarray, "h w c"]:
        """An original of the test split."""
        return self.test.images.read(row, 1)


def embed(
    encoder: nn.Module,
    split: Split,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 256,
    progress: Callable[[int], None] = lambda _: None,
    into: Path | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Features:
    """The features of a split, float32, by an encoder that is in eval mode.

    Args:
        encoder: images `(n, c, s, s)` -> `h (n, d)`.
        split: what to embed.
        device: where the encoder lies.
        batch_size: images a forward pass.
        progress: called with the number of images after each batch.
        into: a `.safetensors` file that takes the features as they come, so that they need not fit in memory.
        facts: what to note in the file beside split and classes.

    Raises:
        UserError: the encoder is in training mode.
    """
    require_frozen(encoder, "embed")
    rows = _rows(encoder, split, device=device, batch_size=batch_size, progress=progress)
    labels, classes = split.images.labels, split.images.classes
    if into is None:
        return Features(np.concatenate(list(rows)), labels, classes, split.name)
    noted = {**(facts or {}), "kind": "features", "split": split.name, "classes": classes}
    write_features(into, rows, indices=np.arange(len(split.images)), labels=labels, facts=noted)
    return read_features(into)[0]


def _rows(
    encoder: nn.Module, split: Split, *, device: torch.device | str, batch_size: int, progress: Callable[[int], None]
) -> Iterator[Float32[np.ndarray, "b d"]]:
    for images in split.batches(batch_size):
        with torch.no_grad():
            h = encoder(images.to(device)).float().cpu().numpy()
        yield h.copy()  # an encoder may give back a view of its input, whose memory the loader uses again
        progress(len(images))
