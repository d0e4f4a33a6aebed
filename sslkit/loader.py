"""Loader: which images make up which batch, and the workers that prepare their views."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sslkit import draws, micro_batches
from sslkit.datasets.images import Images
from sslkit.datasets.stand_in import unreadable_of
from sslkit.distributed.ranks import share_of
from sslkit.errors import SslkitError, UserError
from sslkit.signals import left_to_parent
from sslkit.views import View, prepare

_PREFETCH = 2  # parts that each worker prepares ahead
_SHARED_MEMORY = Path("/dev/shm")  # where Linux keeps it


@lru_cache(maxsize=2)
def _order(num_images: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    return draws.shuffled(num_images, seed, "order", epoch)


class Batch(NamedTuple):
    """One batch: `views`, each `(n, c, s, s)` float32 in [0, 1] and channels-last; row i of all is image `indices[i]`."""

    views: list[Tensor]
    labels: Tensor | None
    indices: Int64[Tensor, " n"]


class SlicedBatch(NamedTuple):
    """One batch whose views never lie in memory together: they come in slices, which are batches, and twice.

    `first` and `second` give the same slices; each is to be used up, in this order, before the next batch is asked for.
    """

    first: Iterator[Batch]
    second: Iterator[Batch]
    labels: Tensor | None
    indices: Int64[Tensor, " n"]


class Plan(NamedTuple):
    """Which images make up which batch: a pure function of its fields.

    Training shuffles each epoch and drops its tail, unless `keep_tail`; without `shuffle` images come in order, the tail too.
    """

    num_images: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    keep_tail: bool = False

    @property
    def batches_per_epoch(self) -> int:
        """Batches in an epoch."""
        if self.shuffle and not self.keep_tail:
            return self.num_images // self.batch_size
        return math.ceil(self.num_images / self.batch_size)

    def size(self, step: int) -> int:
        """How many images a step has: `batch_size`, or what is left in a tail."""
        first = step % self.batches_per_epoch * self.batch_size
        return min(self.batch_size, self.num_images - first)

    def indices(self, step: int) -> Int64[np.ndarray, " n"]:
        """The images of a step, counted from the start of training."""
        epoch, batch = divmod(step, self.batches_per_epoch)
        rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        if self.shuffle:
            return _order(self.num_images, self.seed, epoch)[rows].copy()
        return np.arange(self.num_images, dtype=np.int64)[rows]


class Loader:
    """Batches of views for steps `start`, `start + 1`, ... `stop - 1`.

    The views of an image depend on (seed, epoch, index, view) alone: not on the batch, and not on `workers`. Workers write
    parts of a batch into a ring of shared slots and send back which slot it is; a batch is valid until the one after the next
    is asked for.

    Args:
        images: where they come from.
        views: what is made of each.
        plan: which images make up which batch.
        workers: processes that prepare views beside the training; 0 prepares them in this one.
        label: a word of the address, so that training and evaluation draw different numbers.
        parts: pieces of a batch that workers prepare side by side.
        rank: which of the processes that train together this is; each prepares its own rows of every batch, or slice.
        num_ranks: how many they are.

    Raises:
        UserError: there is not one whole batch, or too little shared memory for the workers.
    """

    def __init__(
        self,
        images: Images,
        views: Sequence[View],
        *,
        plan: Plan,
        workers: int = 0,
        label: str = "views",
        parts: int = 4,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if plan.batches_per_epoch == 0:
            raise UserError(f"batch_size: is {plan.batch_size}, and there are {plan.num_images} images; not one whole batch.")
        self.images = images
        self.views = list(views)
        self.plan = plan
        self.workers = workers
        self.label = label
        self.parts = parts if workers else 1
        self.own = partial(share_of, rank=rank, num_ranks=num_ranks)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of these steps; of each this rank's rows."""
        order = ((step, self.own(slice(0, self.plan.size(step)))) for step in range(start, stop))
        return self._prepared(order, size=_length(self.own(slice(0, self.plan.batch_size))))

    def sliced(self, start: int, stop: int, *, micro_batch: int) -> Iterator[SlicedBatch]:
        """The same batches in slices of at most `micro_batch` images, as equal as can be.

        The views of a slice are made anew for its second pass: having addresses, they are the same. Of each slice there are
        this rank's rows; labels and indices are those of the whole batch.
        """
        slices = [self.own(rows) for rows in micro_batches.slices(self.plan.batch_size, micro_batch)]
        order = ((step, rows) for step in range(start, stop) for _ in ("first", "second") for rows in slices)
        stream = self._prepared(order, size=max(map(_length, slices)))
        for step in range(start, stop):
            labels, indices = self._labelled(step, slice(None))
            yield SlicedBatch(islice(stream, len(slices)), islice(stream, len(slices)), labels, indices)

    def views_of(self, indices: Int64[np.ndarray, " n"], *, epoch: int) -> list[Float32[np.ndarray, "n _s _s c"]]:
        """The very views that some images get in an epoch, one array a view; prepared in this process."""
        out = [np.empty((len(indices), view.size, view.size, self.images.channels), dtype=np.float32) for view in self.views]
        prepare(self.images, self.views, indices, address=self.address(epoch), out=out)
        return out

    def address(self, epoch: int) -> tuple[int | str, ...]:
        """Where the draws of an epoch's views begin."""
        return self.plan.seed, self.label, epoch

    def ring_bytes(self, *, micro_batch: int | None = None) -> int:
        """What the slots take in which the views of whole batches lie, or of slices; shared memory if there are workers."""
        slices = [self.own(rows) for rows in micro_batches.slices(self.plan.batch_size, micro_batch)]
        return self._ring_bytes(max(map(_length, slices)))

    def _prepared(self, order: Iterable[tuple[int, slice]], *, size: int) -> Iterator[Batch]:
        """The batches of these (step, rows of the step's batch), of at most `size` images."""
        slots = self._num_slots
        self._check_shared_memory(self._ring_bytes(size))
        ring = [self._slot(size, shared=self.workers > 0) for _ in range(slots)]
        tasks = _Tasks(self, ring)
        turns = ((step, rows, part, turn % slots) for turn, (step, rows) in enumerate(order) for part in range(self.parts))
        options: Mapping[str, Any] = {"prefetch_factor": _PREFETCH} if self.workers else {}
        loader = DataLoader(
            tasks, sampler=turns, batch_size=None, num_workers=self.workers, worker_init_fn=_start_worker, **options
        )
        for count, (step, rows, slot, unreadable, error) in enumerate(loader):
            unreadable_of(self.images).update(unreadable)  # what a worker meets, this process does not
            if error is not None:
                raise error
            if count % self.parts == self.parts - 1:
                labels, indices = self._labelled(step, rows)
                views = [tensor[: len(indices)].permute(0, 3, 1, 2) for tensor in ring[slot]]
                yield Batch(views, labels, indices)

    @property
    def _num_slots(self) -> int:
        return 2 + math.ceil(self.workers * _PREFETCH / self.parts)

    def _ring_bytes(self, size: int) -> int:
        """All slots, float32, for batches of at most `size` images."""
        pixels = sum(view.size**2 for view in self.views)
        return self._num_slots * size * pixels * self.images.channels * 4

    def _check_shared_memory(self, needed: int) -> None:
        """A worker that writes to a full /dev/shm dies without a word (SIGBUS), so look before."""
        if self.workers and _SHARED_MEMORY.is_dir() and needed > (free := shutil.disk_usage(_SHARED_MEMORY).free):
            raise UserError(
                f"data.workers: {self.workers} workers need {needed / 2**20:.0f} MiB of shared memory, and {_SHARED_MEMORY} "
                f"has {free / 2**20:.0f} MiB free. Set data.workers = 0, or give more of it (docker: --shm-size)."
            )

    def _slot(self, size: int, *, shared: bool) -> list[Tensor]:
        slot = [torch.zeros(size, view.size, view.size, self.images.channels) for view in self.views]
        return [tensor.share_memory_() for tensor in slot] if shared else slot  # type: ignore[no-untyped-call]

    def _labelled(self, step: int, rows: slice) -> tuple[Tensor | None, Tensor]:
        indices = self.plan.indices(step)[rows]
        labels = None if self.images.labels is None else torch.from_numpy(self.images.labels[indices])
        return labels, torch.from_numpy(indices)


def _length(rows: slice) -> int:
    return int(rows.stop - rows.start)


Done = tuple[int, slice, int, dict[int, str], SslkitError | None]


class _Tasks(Dataset[Done]):
    """One item is (step, rows, part, slot): write that part of these rows' views into the slot, and say which it was.

    An error of ours is sent back as it is: torch would wrap it into the worker's traceback.
    """

    def __init__(self, loader: Loader, ring: list[list[Tensor]]) -> None:
        self.loader = loader
        self.ring = ring

    def __getitem__(self, task: tuple[int, slice, int, int]) -> Done:
        step, of_batch, part, slot = task
        loader, plan = self.loader, self.loader.plan
        indices = plan.indices(step)[of_batch]
        bounds = np.linspace(0, len(indices), loader.parts + 1).astype(int)
        rows = slice(bounds[part], bounds[part + 1])
        address = loader.address(step // plan.batches_per_epoch)
        out = [tensor.numpy()[rows] for tensor in self.ring[slot]]
        known = len(unreadable_of(loader.images))
        try:
            if rows.start < rows.stop:
                prepare(loader.images, loader.views, indices[rows], address=address, out=out)
        except SslkitError as error:
            return step, of_batch, slot, {}, error
        return step, of_batch, slot, dict(islice(unreadable_of(loader.images).items(), known, None)), None


def _start_worker(_: int) -> None:
    left_to_parent()
    cv2.setNumThreads(0)  # a worker is one thread; OpenCV's own would fight the training for the cores
    torch.set_num_threads(1)
