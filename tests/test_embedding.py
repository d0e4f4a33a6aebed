"""Features: one row an image, in order, whatever the batch, and nothing of the encoder moves."""

import numpy as np
import pytest
import torch
from torch import nn

import sslkit
from sslkit.embedding import Pair


def split(name="test", *, channels=3, workers=0, num_images=200):
    images = sslkit.Shapes(name, num_images=num_images, size=16, channels=channels)
    return sslkit.Split(images, name, view=sslkit.View([sslkit.CenterCrop(size=16, fraction=1.0)]), workers=workers)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("workers", [0, 1])
def test_raw_pixels_are_the_images(channels, workers):
    """Flatten gives back a view of the loader's memory for grey images: the rows have to be copies."""
    part = split(channels=channels, workers=workers)
    features = sslkit.embed(nn.Flatten().eval(), part, batch_size=7)
    images = np.stack([part.images.read(i) for i in range(len(part.images))])
    assert np.allclose(features.h, (images.transpose(0, 3, 1, 2) / 255).reshape(len(images), -1), atol=1e-6)
    assert (features.labels == part.images.labels).all()


def test_features_do_not_depend_on_the_batch_and_the_encoder_stays():
    encoder = sslkit.ResNet(depth=18, width=0.125, stem="small").eval()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    one, other = (sslkit.embed(encoder, split(), batch_size=size).h for size in (50, 8))
    assert np.allclose(one, other, atol=1e-5)
    assert one.dtype == np.float32
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_the_images_of_a_probe():
    pair = Pair(split("train", num_images=30), split("test"))
    seen = [label for _, labels in pair.train_batches(0, 8) for label in labels.tolist()]
    assert sorted(seen) == sorted(pair.train_labels.tolist())  # every image once, the tail too
    first, again, other = (torch.cat([x.clone() for x, _ in pair.train_batches(epoch, 8)]) for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first, torch.cat([x.clone() for x in pair.train_views(0, 8)]))
    assert sum(len(x) for x in pair.test_batches(8)) == len(pair.test_labels) == 50


def test_two_views_of_each_image():
    part = split()
    rows = np.array([7, 3, 49, 41], np.int64)
    pairs = [tuple(view.clone() for view in batch) for batch in part.pairs(rows, 3)]
    assert [len(one) for one, _ in pairs] == [3, 1]
    first, second = (torch.cat(views) for views in zip(*pairs, strict=True))
    assert not torch.equal(first, second), "each is cropped anew"
    again = [tuple(view.clone() for view in batch) for batch in split(workers=1).pairs(rows, 2)]
    for one, views in zip((first, second), zip(*again, strict=True), strict=True):
        assert torch.equal(one, torch.cat(views)), "neither batch nor workers matter"


class Plain:
    """Images of one colour each, which stay as they are whatever is cut out of them."""

    channels, classes, labels = 3, None, np.arange(6)

    def __len__(self):
        return 6

    def sizes(self, indices):
        return np.full((len(indices), 2), 20)

    def read(self, index, reduction):
        return np.full((20, 20, 3), 40 * index, np.uint8)


def test_views_of_a_pair_are_of_one_image_in_the_order_asked_for():
    pair = Pair(*(sslkit.Split(Plain(), name, view=sslkit.View([sslkit.CenterCrop(size=8)])) for name in ("train", "test")))
    rows = np.array([5, 0, 3], np.int64)
    (views,) = pair.test_pairs(rows, 10)
    for view in views:
        assert torch.allclose(
            view, torch.from_numpy(rows / 255 * 40).float()[:, None, None, None].expand(3, 3, 8, 8), atol=1e-6
        )


def test_random_crops_go_through_what_the_evaluation_view_does_after_its_own():
    normalize = sslkit.Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    part = sslkit.Split(Plain(), "train", view=sslkit.View([sslkit.CenterCrop(size=8), normalize]))
    expected = (np.arange(6) * 40 / 255 - 0.5) / 0.25
    ((x, labels),) = part.augmented_batches(0, 6)
    assert np.allclose(x.mean(dim=(1, 2, 3)), expected[labels], atol=1e-5)
    ((one, other),) = part.pairs(np.arange(6), 6)
    for views in (one, other):
        assert np.allclose(views.mean(dim=(1, 2, 3)), expected, atol=1e-5)
