"""Gaussian blur: the kernel, the borders, and how sigma is drawn."""

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as torchvision

from sslkit.augmentations.gaussian_blur import GaussianBlur, taps
from sslkit.draws import Draw
from sslkit.errors import UserError


def draw_of(n, *address):
    return Draw(np.arange(n), 0, *address)


def noise(n, size, channels=3):
    return np.random.default_rng(0).random((n, size, size, channels), dtype=np.float32)


def restated(image, sigma, radius, mode):
    """One image in float64, every tap kept, one row or column after the other."""
    weights = [math.exp(-(x**2) / (2 * sigma**2)) for x in range(-radius, radius + 1)]
    weights = np.array(weights) / sum(weights)
    padded = np.pad(image.astype(np.float64), [(radius, radius), (radius, radius), (0, 0)], mode=mode)
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, weights, mode="valid")
    return padded


@pytest.mark.parametrize("case", range(4))
def test_blur_equals_the_authors(shared, case):
    with np.load(shared / "golden" / "color.npz") as golden:
        images, expected = golden["images"], golden[f"blur_{case}"]
        sigma, kernel = float(golden[f"blur_{case}_sigma"]), int(golden[f"blur_{case}_kernel_arg"])
    blur = GaussianBlur(sigma=(sigma, sigma), kernel=kernel / images.shape[1])
    assert np.abs(blur(images, draw_of(len(images))) - expected).max() < 2e-6


@pytest.mark.parametrize(("border", "mode"), [("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_equals_its_formula_in_float64(border, mode, channels):
    images = noise(12, 30, channels)
    blurred = GaussianBlur(kernel=0.5, border=border)(images.copy(), draw_of(12, "blur"))
    sigmas = draw_of(12, "blur").uniform(0.1, 2.0)
    expected = np.stack([restated(image, sigma, 7, mode) for image, sigma in zip(images, sigmas, strict=True)])
    assert np.abs(blurred - expected).max() < 2e-6


def test_reflect_equals_torchvision():
    images = noise(3, 32)
    blurred = GaussianBlur(kernel=0.3, sigma=(1.3, 1.3), border="reflect")(images.copy(), draw_of(3))
    theirs = torchvision.gaussian_blur(torch.from_numpy(images).permute(0, 3, 1, 2), [9, 9], [1.3, 1.3])
    assert np.abs(blurred - theirs.permute(0, 2, 3, 1).numpy()).max() < 2e-6


@pytest.mark.parametrize(("size", "width"), [(224, 23), (96, 9), (32, 3), (40, 5), (9, 1)])
def test_width_of_the_kernel(size, width):
    images = np.zeros((1, size, size, 1), dtype=np.float32)
    images[0, size // 2, size // 2] = 1
    row = GaussianBlur(sigma=(9.0, 9.0))(images, draw_of(1))[0, size // 2, :, 0]
    assert (row > 0).sum() == width
    assert row.argmax() == size // 2


def test_taps_by_hand():
    side = math.exp(-0.5)
    assert taps(1.0, 1).tolist() == pytest.approx([side / (1 + 2 * side), 1 / (1 + 2 * side), side / (1 + 2 * side)])
    assert taps(0.7, 0).tolist() == [1.0]


def test_taps_left_out_weigh_nothing():
    assert len(taps(0.5, 11)) == 7
    weights = np.exp(-(np.arange(-50, 51) ** 2) / (2 * 2.0**2))
    assert 1 - weights[40:61].sum() / weights.sum() < 1e-6


def test_borders_darken_or_stay():
    images = np.ones((1, 8, 8, 3), dtype=np.float32)
    middle, side = taps(1.0, 1)[1:]
    dark = GaussianBlur(kernel=0.25, sigma=(1.0, 1.0))(images.copy(), draw_of(1))[0]
    assert dark[0, 0].tolist() == pytest.approx([(middle + side) ** 2] * 3)  # a corner
    assert dark[4, 4].tolist() == pytest.approx([1.0] * 3)
    stays = GaussianBlur(kernel=0.25, sigma=(1.0, 1.0), border="reflect")(images.copy(), draw_of(1))
    assert np.abs(stays - 1).max() < 1e-6
    many = GaussianBlur(kernel=1.0, border="reflect")(np.ones((200, 9, 9, 1), dtype=np.float32), draw_of(200))
    assert many.max() <= 1  # rounding of the weights is clipped away


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_kernel_as_wide_as_a_tiny_image(size, border):
    blurred = GaussianBlur(kernel=1.0, border=border)(noise(4, size), draw_of(4))
    assert blurred.shape == (4, size, size, 3)
    assert np.isfinite(blurred).all()


def test_each_image_has_its_own_uniform_sigma():
    n = 3000
    images = np.zeros((n, 3, 3, 1), dtype=np.float32)
    images[:, 1, 1] = 1
    row = GaussianBlur(kernel=1.0)(images, draw_of(n))[:, 1, :, 0].astype(float)
    sigmas = np.sort(np.sqrt(-0.5 / np.log(row[:, 2] / row[:, 1])))
    gap = np.abs((sigmas - 0.1) / 1.9 - np.arange(1, n + 1) / n).max()
    assert math.sqrt(n) * gap < 1.95  # Kolmogorov's statistic: above with probability 0.001


def test_more_sigma_leaves_less_detail():
    images = noise(1, 64)
    spread = [
        float(GaussianBlur(sigma=(s, s), border="reflect")(images.copy(), draw_of(1)).std()) for s in (0.1, 0.5, 1.0, 2.0)
    ]
    assert spread == sorted(spread, reverse=True)
    assert spread[0] == pytest.approx(float(images.std()), rel=1e-4)


def test_sigma_in_the_wrong_order():
    with pytest.raises(UserError, match=r"^sigma: must be \(low, high\) with 0 < low <= high, is \(2, 0\.1\)\. Did you mean"):
        GaussianBlur(sigma=(2.0, 0.1))
