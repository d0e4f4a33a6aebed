"""Shear, translation and rotation: against torchvision, a slow restatement and what can be seen by eye."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_augmentation_contract import BATCHES, assert_same_bits, noise
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from sslkit.augmentations import affine

AMOUNTS = {
    affine.shear_x: [-0.3, -0.1, 0.0, 0.07, 0.29],
    affine.shear_y: [-0.3, -0.1, 0.0, 0.07, 0.29],
    affine.translate_x: [-40.0, -3.0, 0.0, 1.0, 7.0],
    affine.translate_y: [-40.0, -3.0, 0.0, 1.0, 7.0],
    affine.rotate: [-30.0, -3.3, 0.0, 17.0, 120.0],
}
laws = pytest.mark.parametrize("law", AMOUNTS, ids=lambda law: law.__name__)
interpolations = pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])


def applied(law, images, amounts, interpolation="nearest", fill=0.0):
    images = images.copy()
    law(images, np.asarray(amounts, dtype=np.float64), interpolation=interpolation, fill=fill)
    return images


def source(law, amount, x, y, *, height, width):
    """Where the middle (x, y) of a pixel of the result comes from."""
    if law is affine.shear_x:
        return x + amount * y, y
    if law is affine.shear_y:
        return x, y + amount * x
    if law is affine.translate_x:
        return x - amount, y
    if law is affine.translate_y:
        return x, y - amount
    cos, sin = math.cos(math.radians(amount)), math.sin(math.radians(amount))
    right, down = x - width / 2, y - height / 2
    return width / 2 + cos * right - sin * down, height / 2 + sin * right + cos * down


def restated(law, image, amount, interpolation, fill):
    """One image, pixel by pixel in float64, and which pixels lie just between two of the original."""
    height, width, _ = image.shape
    result, ties = np.zeros(image.shape), np.zeros((height, width), dtype=bool)

    def pixel(row, column):
        return image[row, column].astype(float) if 0 <= row < height and 0 <= column < width else fill

    for row in range(height):
        for column in range(width):
            x, y = source(law, amount, column + 0.5, row + 0.5, height=height, width=width)
            ties[row, column] = min(abs(x - round(x)), abs(y - round(y))) < 1e-4
            if interpolation == "nearest":
                result[row, column] = pixel(math.floor(y), math.floor(x))
                continue
            left, top = math.floor(x - 0.5), math.floor(y - 0.5)
            right, down = x - 0.5 - left, y - 0.5 - top
            result[row, column] = (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1)) + down * (
                (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
            )
    return result, ties


@interpolations
@laws
def test_laws_equal_a_slow_restatement(law, interpolation):
    images = noise(5, 24, 3)[:, :19]
    images = np.ascontiguousarray(images)
    result = applied(law, images, AMOUNTS[law], interpolation, fill=0.7)
    for image, amount, mine in zip(images, AMOUNTS[law], result, strict=True):
        expected, ties = restated(law, image, amount, interpolation, 0.7)
        wrong = np.abs(mine - expected).max(2) > 1e-5
        if interpolation == "nearest":
            wrong &= ~ties
            assert ties.mean() < 0.1
        assert not wrong.any()


def theirs(law, plane, amount, mode, fill):
    if law is affine.rotate:
        return torchvision.rotate(plane, amount, interpolation=mode, fill=fill)
    whole = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], "interpolation": mode, "fill": fill}
    if law in (affine.translate_x, affine.translate_y):
        moved = [int(amount), 0] if law is affine.translate_x else [0, int(amount)]
        return torchvision.affine(plane, **(whole | {"translate": moved}))
    slope = math.degrees(math.atan(amount))
    shear = [slope, 0.0] if law is affine.shear_x else [0.0, slope]
    return torchvision.affine(plane, **(whole | {"shear": shear, "center": [0, 0]}))


@pytest.mark.parametrize("channels", [1, 3])
@interpolations
@laws
def test_laws_equal_torchvision(law, interpolation, channels):
    images = np.ascontiguousarray(noise(5, 63, channels)[:, :40])
    # Bilinear and filled, torchvision weighs the image twice where it meets the outside: not compared.
    fill = [0.2] * channels if interpolation == "nearest" else None
    result = applied(law, images, AMOUNTS[law], interpolation, fill=0.2 if fill else 0.0)
    mode = InterpolationMode(interpolation)
    for image, amount, mine in zip(images, AMOUNTS[law], result, strict=True):
        expected = theirs(law, torch.from_numpy(image).permute(2, 0, 1), amount, mode, fill).permute(1, 2, 0).numpy()
        wrong = np.abs(mine - expected).max(2) > 5e-5
        assert wrong.mean() <= (0.01 if interpolation == "nearest" else 0)  # just between two pixels, float32 decides


def test_translations_are_slices():
    images = noise(3, 9, 3)
    right = applied(affine.translate_x, images, [2.0] * 3, fill=0.5)
    assert np.array_equal(right[:, :, 2:], images[:, :, :-2])
    assert (right[:, :, :2] == 0.5).all()
    up = applied(affine.translate_y, images, [-4.0] * 3, "bilinear")
    assert np.array_equal(up[:, :-4], images[:, 4:])
    assert (up[:, -4:] == 0).all()
    assert (applied(affine.translate_x, images, [9.0] * 3, fill=1.0) == 1).all()


def test_by_hand():
    image = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1) / 10
    turned = applied(affine.rotate, image, [90.0])
    assert turned.reshape(3, 3) == pytest.approx(np.array([[3, 6, 9], [2, 5, 8], [1, 4, 7]]) / 10)  # counter-clockwise
    sheared = applied(affine.shear_x, image, [0.8])  # at the rows' middles by 0.4, 1.2 and 2 pixels, to the left
    assert sheared.reshape(3, 3) == pytest.approx(np.array([[1, 2, 3], [5, 6, 0], [9, 0, 0]]) / 10)
    assert applied(affine.shear_y, image.transpose(0, 2, 1, 3).copy(), [0.8]) == pytest.approx(sheared.transpose(0, 2, 1, 3))
    half = applied(affine.translate_x, image, [0.5], "bilinear", fill=1.0)
    assert half.reshape(3, 3)[0] == pytest.approx([0.55, 0.15, 0.25])


@pytest.mark.parametrize("size", BATCHES)
@interpolations
def test_quarter_turns_are_exact(interpolation, size):
    images = noise(3, size, 3)
    for quarters in range(-1, 4):
        turned = applied(affine.rotate, images, [90.0 * quarters] * 3, interpolation, fill=0.5)
        expected = np.rot90(images, quarters, axes=(1, 2))
        assert np.abs(turned - expected).max() < (1e-7 if interpolation == "nearest" else 1e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.sampled_from(["nearest", "bilinear"]), st.sampled_from(list(AMOUNTS)))
def test_properties(amount, interpolation, law):
    amounts = np.full(2, amount / (1 if law is affine.rotate else 20))
    plain = np.full((2, 16, 23, 3), 0.25, dtype=np.float32)
    assert np.abs(applied(law, plain, amounts, interpolation, fill=0.25) - 0.25).max() < 1e-6
    images = np.ascontiguousarray(noise(2, 23, 3)[:, :16])
    moved = applied(law, images, amounts, interpolation, fill=1.0)
    assert 0 <= moved.min() <= moved.max() <= 1
    assert np.array_equal(applied(law, images, np.zeros(2), interpolation), images)


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("channels", [1, 3])
@interpolations
@laws
def test_same_bits_in_any_batch(law, interpolation, channels, size):
    images = noise(BATCHES[size], size, channels)
    amounts = np.resize(AMOUNTS[law], len(images))
    assert_same_bits(lambda samples: applied(law, images[samples], amounts[samples], interpolation), len(images))


@laws
def test_no_images(law):
    assert applied(law, noise(0, 8, 3), []).shape == (0, 8, 8, 3)
