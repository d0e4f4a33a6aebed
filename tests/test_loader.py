"""Views and the loader: the same bits whatever the batch, the workers or the position."""

import numpy as np
import pytest
import torch

from sslkit.augmentations.color_distortion import ColorDistortion
from sslkit.augmentations.gaussian_blur import GaussianBlur
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.datasets.shapes import Shapes
from sslkit.datasets.subset import balanced, limited
from sslkit.draws import Draws
from sslkit.errors import DataError, UserError
from sslkit.loader import Loader, Plan
from sslkit.views import View


def paper_view(size=24):
    return View([RandomResizedCrop(size=size), HorizontalFlip(), ColorDistortion(strength=1.0), GaussianBlur()])


def batches(batch_size, *, workers=0, steps=None, images=None, seed=0):
    images = images or Shapes("train", num_images=50, size=32)
    plan = Plan(len(images), batch_size, seed)
    loader = Loader(images, [paper_view(), paper_view()], plan=plan, workers=workers)
    return [
        ([view.clone() for view in batch.views], batch.labels, batch.indices)
        for batch in loader.batches(0, steps or plan.batches_per_epoch)
    ]


def views_by_image(found):
    return {int(i): [view[row] for view in views] for views, _, indices in found for row, i in enumerate(indices)}


def test_shapes_and_layout_of_a_batch():
    views, labels, indices = batches(16)[0]
    assert [view.shape for view in views] == [(16, 3, 24, 24)] * 2
    assert views[0].is_contiguous(memory_format=torch.channels_last)
    assert views[0].dtype == torch.float32
    assert 0 <= float(views[0].min()) <= float(views[0].max()) <= 1
    assert (labels == torch.from_numpy(Shapes("train", num_images=50).labels)[indices]).all()


def test_views_do_not_depend_on_the_batch(monkeypatch):
    monkeypatch.setattr("sslkit.views._CHUNK_BYTES", 4 * 24 * 24 * 3 * 4)  # four images a chunk: batches of 7 pass a border
    one, other = views_by_image(batches(1, steps=48)), views_by_image(batches(7))
    assert len(other) == 49
    for index in other.keys() & one.keys():
        for a, b in zip(one[index], other[index], strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.fault(
    "another number of workers",
    injected="batches made with several numbers",
    expected="the same bits",
    theme="data",
)
def test_views_do_not_depend_on_the_workers(workers):
    for (a, _, i), (b, _, j) in zip(batches(10, steps=12), batches(10, steps=12, workers=workers), strict=True):
        assert torch.equal(i, j)
        for x, y in zip(a, b, strict=True):
            assert torch.equal(x, y)


@pytest.mark.fault(
    "equal augmentation in both views, or each epoch",
    injected="other views, epochs and seeds compared",
    expected="all differ",
    theme="data",
)
def test_the_two_views_of_an_image_differ_and_so_do_epochs_and_seeds():
    first, again, other = batches(50)[0], batches(50, steps=2)[1], batches(50, seed=1)[0]
    for views in (first, again, other):
        assert not torch.equal(views[0][0], views[0][1])
    assert not torch.equal(views_by_image([first])[3][0], views_by_image([again])[3][0])
    assert not torch.equal(views_by_image([first])[3][0], views_by_image([other])[3][0])


def test_an_added_operation_does_not_move_the_draws_of_the_others():
    images, at = [Shapes("train").read(i) for i in range(9)], Draws(np.arange(9), 0)
    sizes = np.full((9, 2), 32)
    without = View([RandomResizedCrop(size=32), HorizontalFlip()])
    behind = View([RandomResizedCrop(size=32), GaussianBlur(p=0.0), HorizontalFlip()])
    results = [view.apply(images, view.boxes(sizes, at), at) for view in (without, behind)]
    assert np.array_equal(*results)


def test_p_is_the_share_of_images():
    class Blacken:
        def __call__(self, images, draw):
            return images * 0

    samples = np.arange(4000)
    view = View([RandomResizedCrop(size=1), ("blacken", Blacken(), 0.3)])
    ones = [np.full((2, 2, 1), 255, np.uint8)] * 4000
    seen = view.apply(ones, np.tile([0, 0, 2, 2], (4000, 1)), Draws(samples, 0))
    assert abs((seen == 0).mean() - 0.3) < 0.03


def test_an_epoch_shows_each_image_once_and_drops_its_tail():
    plan = Plan(10, 3, seed=0)
    assert plan.batches_per_epoch == 3
    shown = np.concatenate([plan.indices(step) for step in range(3)])
    assert len(np.unique(shown)) == 9
    assert not np.array_equal(shown, np.concatenate([plan.indices(step) for step in range(3, 6)]))


def test_evaluation_goes_in_order_and_keeps_the_tail():
    plan = Plan(10, 4, shuffle=False)
    assert [list(plan.indices(step)) for step in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert sorted(np.concatenate([Plan(10, 4, keep_tail=True).indices(step) for step in range(3)])) == list(range(10))


class Reduced(Shapes):
    """Large images that can be read at a fraction of their size; remembers what was asked."""

    asked: list

    def read(self, index, reduction=1):
        self.asked.append(reduction)
        return np.ascontiguousarray(super().read(index, 1)[::reduction, ::reduction])


def test_a_decoder_may_reduce_where_boxes_allow_it():
    images = Reduced("train", num_images=20, size=200)
    images.asked = []
    plan = Plan(20, 20)
    loader = Loader(images, [View([RandomResizedCrop(size=20, area=(0.5, 1.0))])] * 2, plan=plan)
    (batch,) = loader.batches(0, 1)
    assert set(images.asked) == {2, 4}  # boxes of 122 to 200 pixels for 20, of which half as many or more have to stay twice 20
    assert len(images.asked) == 20  # once for both views
    whole = next(Loader(Shapes("train", num_images=20, size=200), loader.views, plan=plan).batches(0, 1))
    assert (batch.views[0] - whole.views[0]).abs().mean() < 0.1


@pytest.mark.fault(
    "an error in a worker process",
    injected="a data set that raises, with 0 and 1 workers",
    expected="the same message either way",
    theme="data",
)
def test_a_worker_s_error_reaches_the_user():
    class Unreadable(Shapes):
        def read(self, index, reduction=1):
            raise DataError(f"image {index} can't be decoded")

    for workers in (0, 1):
        with pytest.raises(DataError, match=r"^image \d+ can't be decoded$"):
            batches(5, images=Unreadable("train", num_images=20), workers=workers)


@pytest.mark.fault(
    "too little shared memory for workers",
    injected="a full `/dev/shm`, told by a stand-in",
    expected="refused at the start, with `data.workers = 0` named",
    theme="resources",
)
def test_too_little_shared_memory_is_said_before_a_worker_dies_of_it(monkeypatch):
    from sslkit import loader

    monkeypatch.setattr(loader.shutil, "disk_usage", lambda _: loader.shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(UserError, match=r"data.workers: 2 workers need .* Set data.workers = 0"):
        batches(5, workers=2)


@pytest.mark.fault(
    "fewer images than a batch",
    injected="3 images, batches of 10",
    expected="refused, with both numbers",
    theme="data",
)
def test_too_few_images_for_a_batch():
    with pytest.raises(UserError, match="is 10, and there are 3 images"):
        Loader(Shapes("train", num_images=3), [paper_view()], plan=Plan(3, 10))


def test_a_view_in_python_has_the_draws_of_the_recipe():
    from small import TEXT

    from sslkit import build
    from sslkit.recipe import Recipe

    ours = View([RandomResizedCrop(size=12, area=(0.3, 1.0)), HorizontalFlip(), ColorDistortion()])
    theirs = build.view(Recipe.parse(TEXT).views[0])
    images, sizes, at = [Shapes("train").read(i) for i in range(5)], np.full((5, 2), 32), Draws(np.arange(5), 0)
    one, two = (view.apply(images, view.boxes(sizes, at), at) for view in (ours, theirs))
    assert np.array_equal(one, two)


def test_limit_is_a_pure_function_of_the_seed():
    images = Shapes("train", num_images=100)
    assert len(limited(images, None, seed=0)) == 100
    first, again, other = (limited(images, 30, seed=seed) for seed in (0, 0, 1))
    assert len(first) == 30
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)
    assert np.array_equal(first.read(3), again.read(3))
    assert first.sizes(np.arange(2)).tolist() == [[32, 32]] * 2


def test_balanced_labels():
    labels = np.arange(100) % 10
    rows = balanced(labels, 3, seed=0, split="train")
    assert (np.bincount(labels[rows]) == 3).all()
    uneven = labels[np.arange(100) != 13]  # one image of label 3 less
    for classes, name in ((None, "of label 3"), (tuple("abcdefghij"), "'d'")):
        with pytest.raises(
            DataError, match=f"asks for 11 images a class, and the class {name} of the split 'train' has only 9"
        ):
            balanced(uneven, 11, seed=0, split="train", classes=classes)
