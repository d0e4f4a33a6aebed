"""Shapes: a pure function of (seed, split, index), in which form alone tells the class."""

import numpy as np
import pytest

from sslkit.datasets.shapes import FORMS, Shapes
from sslkit.errors import DataError


def stack(images, count=400):
    return np.stack([images.read(i) for i in range(count)])


def test_a_pure_function_of_seed_split_and_index():
    one = Shapes("train")
    assert np.array_equal(one.read(7), Shapes("train", num_images=9).read(7))
    for other in (Shapes("train", seed=1), Shapes("test"), Shapes("val")):
        assert not np.array_equal(one.read(7), other.read(7))


def test_sizes_channels_and_labels():
    images = Shapes("test", num_images=100, size=20, channels=1)
    assert len(images) == 25
    assert images.read(3).shape == (20, 20, 1)
    assert images.sizes(np.arange(3)).tolist() == [[20, 20]] * 3
    assert images.classes == tuple(sorted(FORMS))
    assert set(images.labels) == set(range(10))


def test_an_unknown_split():
    with pytest.raises(DataError, match="no split 'validation'.* It has: test, train, val"):
        Shapes("validation")


def test_colour_tells_nothing_of_the_class():
    pixels = stack(Shapes("train")).astype(float)
    colours, labels = pixels.mean((1, 2)), np.arange(400) % 10
    between = np.stack([colours[labels == label].mean(0) for label in range(10)]).std(0)
    assert (between < 2.5 * colours.std(0) / np.sqrt(40)).all()  # what ten means of forty random colours vary by


def test_raw_pixels_score_low():
    bank, queries = stack(Shapes("train"), 1000), stack(Shapes("test"), 200)
    bank, queries = (x.reshape(len(x), -1).astype(np.float32) for x in (bank, queries))
    distances = (bank**2).sum(1) - 2 * queries @ bank.T
    accuracy = (distances.argmin(1) % 10 == np.arange(200) % 10).mean()
    assert accuracy < 0.3


def test_forms_cover_what_they_should():
    """By hand: a filled square of half-diagonal r covers 2 r^2, a disc of radius 0.9 r covers pi (0.9 r)^2 of the image."""
    from sslkit.datasets.shapes import _mask
    from sslkit.draws import Draw

    for name, area in [("square", 2.0), ("disc", np.pi * 0.81), ("ring", np.pi * 0.64), ("triangle", 3 * np.sqrt(3) / 4)]:
        draw = Draw(np.array([0]), "area")
        draw.uniform()
        radius = draw.uniform(0.2, 0.38)[0]
        covered = _mask(Draw(np.array([0]), "area"), FORMS[name](), size=64).mean()
        assert covered == pytest.approx(area * radius**2, rel=0.05), name
