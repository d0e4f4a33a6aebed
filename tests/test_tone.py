"""Tone and sharpness: every law against torchvision and PIL on 8-bit images and against a slow restatement, then the operations."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from test_augmentation_contract import BATCHES, assert_same_bits, draw_of, noise
from torchvision.transforms import functional as torchvision

from sslkit.augmentations import sharpen, tone
from sslkit.augmentations.autocontrast import Autocontrast
from sslkit.augmentations.equalize import Equalize
from sslkit.augmentations.posterize import Posterize
from sslkit.augmentations.solarize import Solarize


def eight_bit_images(channels=3):
    """All levels, noise, dark, bright, few levels, one level, two levels, and one level but for a pixel: (8, 32, 24, c)."""
    rng = np.random.default_rng(5)
    form = (32, 24, channels)
    ramp = np.arange(np.prod(form)).reshape(form) % 256
    images = [ramp, rng.integers(0, 256, form), 20 + rng.integers(0, 9, form) ** 2, 255 - rng.poisson(12, form)]
    images += [rng.choice([3, 90, 91, 200], form), np.full(form, 77), rng.choice([10, 250], form), np.full(form, 130)]
    images[-1][4, 5] = 140
    return np.stack(images).astype(np.uint8)


def applied(law, images, *amounts):
    images = images.copy() if images.dtype == np.float32 else images.astype(np.float32) / np.float32(255)
    law(images, *amounts)
    return images


def levels(images):
    """Back to 8 bits, where that loses nothing."""
    scaled = images.astype(np.float64) * 255
    assert np.abs(scaled - np.rint(scaled)).max() < 1e-4
    return np.rint(scaled).astype(np.uint8)


def planes(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def to_numpy(tensor):
    return tensor.permute(0, 2, 3, 1).numpy()


def with_pil(function, images):
    results = [np.asarray(function(Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image))) for image in images]
    return np.stack(results).reshape(images.shape)


# The laws.


@pytest.mark.parametrize("channels", [1, 3])
def test_laws_equal_torchvision_and_pil_bit_for_bit(channels):
    images = eight_bit_images(channels)
    n = len(images)
    assert np.array_equal(levels(applied(tone.invert, images)), to_numpy(torchvision.invert(planes(images))))
    for bits in range(1, 9):
        result = levels(applied(tone.posterize, images, np.full(n, float(bits))))
        assert np.array_equal(result, to_numpy(torchvision.posterize(planes(images), bits)))
        assert np.array_equal(result, with_pil(lambda image: ImageOps.posterize(image, bits), images))  # noqa: B023
    for threshold in range(256):
        result = levels(applied(tone.solarize, images, np.full(n, threshold / 255)))
        assert np.array_equal(result, to_numpy(torchvision.solarize(planes(images), threshold)))
    assert np.array_equal(
        levels(applied(tone.solarize, images, np.full(n, 0.5))),
        with_pil(lambda image: ImageOps.solarize(image, 128), images),
    )
    equalized = levels(applied(tone.equalize, images))
    assert np.array_equal(equalized, to_numpy(torchvision.equalize(planes(images))))
    assert np.array_equal(equalized, with_pil(ImageOps.equalize, images))


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_is_less_than_one_level_above_pil(channels):
    images = eight_bit_images(channels)
    result = 255.0 * applied(tone.autocontrast, images)
    for theirs in (to_numpy(torchvision.autocontrast(planes(images))), with_pil(ImageOps.autocontrast, images)):
        above = result - theirs
        assert above.min() > -1e-4
        assert above.max() < 1 + 1e-4


def test_laws_equal_torchvision_on_floats():
    images = np.concatenate([noise(4, 33, 3), 0.2 + 0.1 * noise(2, 33, 3), np.full((1, 33, 33, 3), 0.3, dtype=np.float32)])
    n = len(images)
    pairs = [
        (applied(tone.invert, images), torchvision.invert(planes(images))),
        (applied(tone.solarize, images, np.full(n, 0.25)), torchvision.solarize(planes(images), 0.25)),
        (applied(tone.autocontrast, images), torchvision.autocontrast(planes(images))),
    ]
    for factor in (0.0, 0.1, 0.7, 1.0, 1.3, 1.9, 3.0):
        pairs.append(
            (applied(sharpen.sharpness, images, np.full(n, factor)), torchvision.adjust_sharpness(planes(images), factor))
        )
    for result, theirs in pairs:
        assert np.abs(result - to_numpy(theirs)).max() < 2e-6


def test_sharpness_equals_pil_to_the_rounding_of_8_bits():
    images = eight_bit_images()
    for factor in (0.1, 0.5, 1.0, 1.4, 1.9):
        theirs = with_pil(lambda image: ImageEnhance.Sharpness(image).enhance(factor), images)  # noqa: B023
        result = 255.0 * applied(sharpen.sharpness, images, np.full(len(images), factor))
        assert np.abs(result - theirs).max() <= 1 + 0.5 * abs(1 - factor) + 1e-3  # the smoothed image rounded, the blend cut


def restated(law, image, amount):
    """One image in float64, value by value."""
    x = image.astype(np.float64)
    level = np.rint(255 * image).astype(int)
    result = x.copy()
    for place in np.ndindex(x.shape):
        row, column, channel = place
        mine, all_levels = level[place], level[..., channel]
        if law is tone.solarize:
            result[place] = 1 - x[place] if x[place] >= np.float32(amount) else x[place]
        elif law is tone.posterize:
            size = 2 ** (8 - int(amount))
            result[place] = mine // size * size / 255
        elif law is tone.equalize:
            step = (all_levels < all_levels.max()).sum() // 255
            if step:
                result[place] = min(((all_levels < mine).sum() + step // 2) // step, 255) / 255
        elif law is tone.autocontrast:
            low, high = x[..., channel].min(), x[..., channel].max()
            result[place] = (x[place] - low) / (high - low) if high > low else x[place]
        elif 0 < row < x.shape[0] - 1 and 0 < column < x.shape[1] - 1:
            around = x[row - 1 : row + 2, column - 1 : column + 2, channel]
            smooth = (around.sum() + 4 * x[place]) / 13
            result[place] = min(max(amount * x[place] + (1 - amount) * smooth, 0), 1)
    return result


@pytest.mark.parametrize(
    ("law", "amounts"),
    [
        (tone.solarize, [0.0, 0.3, 0.5, 1.0]),
        (tone.posterize, [0.0, 1.0, 4.0, 8.0]),
        (tone.equalize, []),
        (tone.autocontrast, []),
        (sharpen.sharpness, [0.0, 0.4, 1.0, 1.9]),
    ],
)
def test_laws_equal_a_slow_restatement(law, amounts):
    images = np.random.default_rng(1).random((4, 31, 29, 2), dtype=np.float32) ** 3
    images[1, ..., 0] = 0.25  # plain: this channel stays, the other does not
    expected = np.stack([restated(law, image, amount) for image, amount in zip(images, amounts or [None] * 4, strict=True)])
    result = applied(law, images, np.array(amounts)) if amounts else applied(law, images)
    assert np.abs(result - expected).max() < 2e-6


def test_laws_by_hand():
    row = np.array([0.0, 0.2, 0.6, 1.0], dtype=np.float32).reshape(1, 1, 4, 1)
    assert applied(tone.invert, row).ravel() == pytest.approx([1, 0.8, 0.4, 0])
    assert applied(tone.solarize, row, np.array([0.6])).ravel() == pytest.approx([0, 0.2, 0.4, 0])
    assert applied(tone.posterize, row, np.array([1.0])).ravel() == pytest.approx([0, 0, 128 / 255, 128 / 255])
    assert applied(tone.posterize, row, np.array([2.0])).ravel() == pytest.approx([0, 0, 128 / 255, 192 / 255])
    assert applied(tone.autocontrast, row[:, :, 1:3]).ravel() == pytest.approx([0, 1])
    thirds = np.repeat(np.array([0.1, 0.2, 0.7], dtype=np.float32), 255).reshape(1, 3, 255, 1)
    assert np.unique(levels(applied(tone.equalize, thirds))).tolist() == [0, 128, 255]  # s = 2: 1 // 2, 256 // 2, 511 // 2
    dot = np.zeros((1, 3, 3, 1), dtype=np.float32)
    dot[0, 1, 1] = 0.5
    assert applied(sharpen.sharpness, dot, np.array([0.0]))[0, 1, 1, 0] == pytest.approx(0.5 * 5 / 13)
    assert applied(sharpen.sharpness, dot, np.array([1.5]))[0, 1, 1, 0] == pytest.approx(0.75 - 0.25 * 5 / 13)


def test_channels_without_contrast_keep_their_very_values():
    images = np.full((2, 20, 20, 3), 0.3, dtype=np.float32)
    images[1] = np.random.default_rng(0).random((20, 20, 3)) * 1e-5 + 0.3  # one level, but several values
    assert np.array_equal(applied(tone.equalize, images), images)
    assert np.array_equal(applied(tone.autocontrast, images)[0], images[0])
    small = noise(3, 5, 3)  # 25 pixels are too few for 256 levels
    assert np.array_equal(applied(tone.equalize, small), small)
    for thin in (noise(1, 9, 3)[:, :2], noise(1, 9, 3)[:, :, :2].copy()):
        assert np.array_equal(applied(sharpen.sharpness, thin, np.array([0.0])), thin)
    tiny = np.array([0, 1e-45], dtype=np.float32).reshape(1, 1, 2, 1)  # the smallest float32
    assert applied(tone.autocontrast, tiny).ravel().tolist() == [0, 1]


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_properties_of_the_laws(threshold, seed):
    images = np.random.default_rng(seed).random((2, 18, 21, 3), dtype=np.float32)
    assert np.abs(applied(tone.invert, applied(tone.invert, images)) - images).max() < 1e-7
    solarized = applied(tone.solarize, images, np.full(2, threshold))
    assert solarized.max() <= max(threshold, 1 - threshold) + 1e-6
    once = applied(tone.posterize, images, np.full(2, 3.0))
    assert len(np.unique(once)) <= 8
    assert np.array_equal(applied(tone.posterize, once, np.full(2, 3.0)), once)
    stretched = applied(tone.autocontrast, images)
    assert set(np.stack([stretched.min((1, 2)), stretched.max((1, 2))]).ravel()) == {0, 1}
    assert np.array_equal(applied(tone.autocontrast, stretched), stretched)
    equalized = applied(tone.equalize, images)
    order = np.argsort(images[0, ..., 0], axis=None)
    assert (np.diff(equalized[0, ..., 0].ravel()[order]) >= 0).all()  # the order of values stays
    assert np.array_equal(applied(sharpen.sharpness, images, np.ones(2)), images)
    plain = np.full_like(images, images[0, 0, 0, 0])
    assert np.abs(applied(sharpen.sharpness, plain, np.full(2, 1.9)) - plain).max() < 1e-6


def test_equalize_makes_dark_images_as_bright_as_others():
    dark = 0.3 * np.random.default_rng(0).random((5, 64, 64, 3), dtype=np.float32) ** 2
    assert dark.mean() < 0.11
    result = applied(tone.equalize, dark)
    assert np.abs(result.mean((1, 2)) - 0.5).max() < 0.1
    assert np.abs(np.quantile(result, [0.25, 0.75]) - [0.25, 0.75]).max() < 0.1


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("channels", [1, 3])
def test_sharpness_gives_the_same_bits_in_any_batch(channels, size):
    images = noise(BATCHES[size], size, channels)
    factors = np.linspace(0, 2, len(images))
    assert_same_bits(lambda samples: applied(sharpen.sharpness, images[samples], factors[samples]), len(images))


def test_sharpness_of_no_images():
    sharpen.sharpness(noise(0, 8, 3), np.zeros(0))


def test_parameters_reach_the_laws():
    images = noise(3, 17, 3)
    assert np.array_equal(
        Solarize(threshold=0.3)(images.copy(), draw_of(np.arange(3))), applied(tone.solarize, images, np.full(3, 0.3))
    )
    assert np.array_equal(
        Posterize(bits=2)(images.copy(), draw_of(np.arange(3))), applied(tone.posterize, images, np.full(3, 2.0))
    )
    assert np.array_equal(Equalize()(images.copy(), draw_of(np.arange(3))), applied(tone.equalize, images))
    assert np.array_equal(Autocontrast()(images.copy(), draw_of(np.arange(3))), applied(tone.autocontrast, images))
    assert Solarize().p == 0.2
    assert Solarize(p=0.7).p == 0.7
