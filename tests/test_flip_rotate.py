"""Vertical flip and rotation: pixels change places and nothing else."""

import numpy as np
import pytest
from pydantic import ValidationError
from test_augmentation_contract import BATCHES, assert_same_bits, draw_of, noise

from sslkit.augmentations.rotate import Rotate
from sslkit.augmentations.vertical_flip import VerticalFlip
from sslkit.errors import UserError
from sslkit.signatures import check_contract, model_of

HAND = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1) / 4  # 0 1 above 2 3, in quarters


def restated(image, angle):
    """Each pixel's coordinates around the centre, turned in float64: x to the right, y up."""
    h, w, _ = image.shape
    cos, sin = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}[angle]
    out = np.full(image.shape, np.nan, dtype=np.float32)
    for row in range(h):
        for column in range(w):
            x, y = column - (w - 1) / 2, (h - 1) / 2 - row
            to_x, to_y = cos * x - sin * y, sin * x + cos * y
            out[int((h - 1) / 2 - to_y), int(to_x + (w - 1) / 2)] = image[row, column]
    return out


def angles_of(operation, n):
    """Which of the four each image was turned by, read off a picture without symmetry."""
    turned = operation(np.repeat(HAND, n, axis=0), draw_of(np.arange(n)))
    first = (4 * turned[:, 0, 0, 0]).astype(int)
    return np.array([0, 90, 270, 180])[first]


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("operation", [VerticalFlip(), Rotate()], ids=["vertical_flip", "rotate"])
def test_same_bits_in_any_batch(operation, channels, size):
    images = noise(BATCHES[size], size, channels)
    assert_same_bits(lambda samples: operation(images[samples], draw_of(samples)), len(images))


@pytest.mark.parametrize("operation", [VerticalFlip(), Rotate(angles=(0, 180)), Rotate(angles=(180,))])
def test_oblong_strided_and_no_images(operation):
    oblong = noise(4, 20, 3)[:, :12]
    for strided in (oblong, oblong[:, :, ::-1], oblong[::-1, ::2, ::3], noise(12, 20, 3).transpose(1, 0, 2, 3)):
        draw = draw_of(np.arange(len(strided)))
        result = operation(strided, draw)
        assert result.flags.c_contiguous
        expected = operation(np.ascontiguousarray(strided), draw_of(np.arange(len(strided))))
        assert np.array_equal(result, expected)
    assert operation(noise(0, 8, 3), draw_of(np.arange(0))).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 4), (4, 1), (5, 3), (6, 9)])
@pytest.mark.parametrize("channels", [1, 3])
def test_flip_by_its_definition(h, w, channels):
    images = noise(3, 9, channels)[:, :h, :w].copy()
    flipped = VerticalFlip()(images.copy(), draw_of(np.arange(3)))
    for n in range(3):
        for row in range(h):
            assert (flipped[n, row] == images[n, h - 1 - row]).all()
    assert (VerticalFlip()(flipped, draw_of(np.arange(3))) == images).all()


def test_by_hand():
    draw = draw_of([0])
    assert (4 * VerticalFlip()(HAND.copy(), draw)).ravel().tolist() == [2, 3, 0, 1]
    assert (4 * Rotate(angles=(90,))(HAND.copy(), draw)).ravel().tolist() == [1, 3, 0, 2]  # counter-clockwise
    assert (4 * Rotate(angles=(180,))(HAND.copy(), draw)).ravel().tolist() == [3, 2, 1, 0]
    assert (4 * Rotate(angles=(270,))(HAND.copy(), draw)).ravel().tolist() == [2, 0, 3, 1]
    assert (4 * Rotate(angles=(0,))(HAND.copy(), draw)).ravel().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_rotation_equals_its_definition(size, channels):
    images = noise(20, size, channels)
    turned = Rotate()(images.copy(), draw_of(np.arange(20)))
    angles = angles_of(Rotate(), 20)
    assert set(angles) == {0, 90, 180, 270}
    for image, angle, out in zip(images, angles, turned, strict=True):
        assert (out == restated(image, angle)).all()


def test_four_quarter_turns_are_none():
    images = noise(3, 7, 3)
    turned = images.copy()
    for _ in range(4):
        turned = Rotate(angles=(90,))(turned, draw_of(np.arange(3)))
    assert (turned == images).all()


@pytest.mark.parametrize("angles", [(0, 90, 180, 270), (90, 180, 270), (0, 180)])
def test_angles_are_equally_likely(angles):
    n = 6000
    found, counts = np.unique(angles_of(Rotate(angles=angles), n), return_counts=True)
    assert tuple(found) == angles
    expected = n / len(angles)
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-square, at most 3 degrees: above with probability 0.001


def test_oblong_images_cannot_be_turned_by_a_quarter():
    with pytest.raises(UserError, match=r"^rotate: images of 12 x 20 pixels would change their shape .* angles = \[0, 180\]"):
        Rotate()(noise(2, 20, 3)[:, :12].copy(), draw_of([0, 1]))


@pytest.mark.parametrize("angles", [(), (90, 90), (0, 90, 0)])
def test_rotation_refuses(angles):
    with pytest.raises(UserError, match=r"^angles: must be some of 0, 90, 180, 270, each once, is \("):
        Rotate(angles=angles)


def test_recipes():
    for operation in (VerticalFlip, Rotate):
        check_contract(operation, kind="augmentations", offered=(), calls={}, takes={"__call__": 2}, reserved=())
    model = model_of(Rotate, name="rotate", options={})
    assert model.model_validate_json('{"angles": [0, 180]}').angles == (0, 180)
    for wrong in ('{"angles": []}', '{"angles": [45]}', '{"angles": 90}'):
        with pytest.raises(ValidationError):
            model.model_validate_json(wrong)
    assert VerticalFlip().p == 0.5
