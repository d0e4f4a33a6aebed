"""The transform probe: what each question does to images, what it finds, and what it leaves alone."""

import numpy as np
import pytest
import torch
from small import FakeImages, convolutional
from torch import nn

from sslkit.augmentations.center_crop import CenterCrop
from sslkit.augmentations.normalize import Normalize
from sslkit.datasets.shapes import Shapes
from sslkit.draws import Draw
from sslkit.embedding import Pair, Split
from sslkit.errors import DataError
from sslkit.evaluations.probe_transform import TransformProbe
from sslkit.views import View


class Corners(FakeImages):
    """Coloured images of one bright corner, so that a turn can be seen."""

    def __init__(self, n=200, m=120):
        super().__init__(n, m)
        for images in (self.train, self.test):
            images[:] = 0.2 * np.random.default_rng(1).random(images.shape)
            images[:, 0, :2, :2] += 0.7


def asked(transform, images):
    question = TransformProbe()._questions()[transform]
    draw = Draw(np.arange(len(images)), 0, "test")
    answers = question.drawn(draw)
    return answers, question.change(images.copy(), answers, draw)


@pytest.mark.parametrize(("transform", "share"), [("grayscale", 0.2), ("noise", 0.5), ("sobel", 0.5)])
def test_only_images_with_answer_one_are_changed(transform, share):
    images = np.random.default_rng(0).random((1000, 6, 6, 3), dtype=np.float32)
    answers, changed = asked(transform, images)
    assert set(answers) == {0, 1}
    assert answers.mean() == pytest.approx(share, abs=0.05)
    different = (changed != images).reshape(1000, -1).any(axis=1)
    assert different.tolist() == (answers == 1).tolist()
    if transform == "grayscale":
        assert (changed[answers == 1][..., 0] == changed[answers == 1][..., 2]).all()


def test_rotation_turns_by_the_answer():
    images = np.random.default_rng(0).random((400, 5, 5, 3), dtype=np.float32)
    answers, turned = asked("rotation", images)
    assert np.bincount(answers, minlength=4).min() > 70
    for image, answer, result in zip(images, answers, turned, strict=True):
        assert (result == np.rot90(image, answer)).all()


def test_pixels_know_all_and_a_blind_encoder_nothing():
    found = dict(TransformProbe(hidden_dim=64)(nn.Flatten().eval(), Corners(), 0))
    assert set(found) == {
        f"probe_transform_{one}_{what}" for one in ("grayscale", "rotation", "noise", "sobel") for what in ("top1", "chance")
    }
    assert found["probe_transform_rotation_top1"] > 0.95
    assert found["probe_transform_grayscale_top1"] == 1.0
    assert found["probe_transform_grayscale_chance"] == pytest.approx(0.8, abs=0.1)

    class Blind(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x), 4)

    blind = dict(TransformProbe(hidden_dim=8, epochs=3)(Blind().eval(), Corners(), 0))
    for transform in ("grayscale", "rotation", "noise", "sobel"):
        assert blind[f"probe_transform_{transform}_top1"] <= blind[f"probe_transform_{transform}_chance"] + 1e-9


def test_same_twice_and_the_encoder_stays():
    encoder = convolutional()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    probe = TransformProbe(transforms=("rotation",), hidden_dim=16, epochs=3)
    assert probe(encoder, Corners(), 0) == probe(encoder, Corners(), 0)
    assert probe(encoder, Corners(), 0) != probe(encoder, Corners(), 1)
    assert all(torch.equal(encoder.state_dict()[name], tensor) for name, tensor in before.items())


def test_gray_images_are_not_asked_for_their_colour():
    images = Corners()
    images.train, images.test = images.train[:, :1], images.test[:, :1]
    with pytest.raises(DataError, match="leave grayscale out of its transforms"):
        TransformProbe()(nn.Flatten().eval(), images, 0)
    assert (
        dict(TransformProbe(transforms=("sobel",), epochs=2)(nn.Flatten().eval(), images, 0))["probe_transform_sobel_top1"]
        > 0.4
    )


def test_a_last_batch_of_one_image():
    found = dict(TransformProbe(transforms=("rotation",), hidden_dim=8, epochs=2)(nn.Flatten().eval(), Corners(n=257), 0))
    assert 0 <= found["probe_transform_rotation_top1"] <= 1


def test_images_are_changed_before_they_are_normalised():
    """Noise is for images in [0, 1]; of normalised ones it would cut off more than half of the range."""
    seen = []

    class Recording(nn.Flatten):
        def forward(self, x):
            seen.append(x.clone())
            return super().forward(x)

    def pair(*operations):
        view = View([CenterCrop(size=12), *operations])
        return Pair(*(Split(Shapes(name, num_images=20, size=12), name, view=view) for name in ("train", "test")))

    probe, normalize = TransformProbe(transforms=("noise",), hidden_dim=4, epochs=1), Normalize(mean=0.5, std=0.25)
    for images in (pair(), pair(normalize)):
        probe(Recording().eval(), images, 0)
    plain, normalised = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert normalised[0].min() < -1
    for ours, theirs in zip(normalised, plain, strict=True):
        torch.testing.assert_close(ours, (theirs - 0.5) / 0.25)


def test_it_needs_no_labels():
    """The answers are drawn, so a folder without classes will do."""

    class Unlabelled(FakeImages):
        def train_batches(self, epoch, batch_size):
            raise AssertionError("there are no labels")

        def train_views(self, epoch, batch_size):
            return iter(torch.from_numpy(self.train).split(batch_size))

    found = dict(TransformProbe(transforms=("rotation",), epochs=1)(nn.Flatten().eval(), Unlabelled(), 0))
    assert set(found) == {"probe_transform_rotation_top1", "probe_transform_rotation_chance"}
