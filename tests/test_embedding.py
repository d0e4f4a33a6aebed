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
    assert sum(len(x) for x in pair.test_batches(8)) == len(pair.test_labels) == 50
