"""Cutout and Gaussian noise: what is drawn, where it falls, and by which law."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from test_augmentation_contract import draw_of, noise

from sslkit.augmentations.cutout import Cutout
from sslkit.augmentations.gaussian_noise import GaussianNoise, normal
from sslkit.errors import UserError


def kolmogorov(numbers, law):
    """The statistic of Kolmogorov; above 1.95 with probability 0.001."""
    n = len(numbers)
    below = law(np.sort(numbers))
    return math.sqrt(n) * max(np.abs(below - np.arange(1, n + 1) / n).max(), np.abs(below - np.arange(n) / n).max())


# --- cutout


def painted(image, y, x, side, fill):
    """A literal restatement: each pixel by itself."""
    out = image.copy()
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if 0 <= row - (y - side // 2) < side and 0 <= column - (x - side // 2) < side:
                out[row, column] = fill
    return out


@pytest.mark.parametrize(("h", "w", "size", "side"), [(16, 16, 0.5, 8), (9, 14, 0.37, 3), (14, 9, 1.0, 9), (5, 5, 0.05, 1)])
@pytest.mark.parametrize("fill", [0.0, 0.5])
def test_cutout_equals_its_definition(h, w, size, side, fill):
    images = noise(60, 16, 3)[:, :h, :w].copy()
    result = Cutout(size=size, fill=fill)(images.copy(), draw_of(np.arange(60)))
    draw = draw_of(np.arange(60))
    centres = np.stack([draw.integers(h), draw.integers(w)], axis=1)
    expected = [painted(image, y, x, side, fill) for image, (y, x) in zip(images, centres, strict=True)]
    assert (result == expected).all()


def test_cutout_by_hand():
    # A square of 2 around pixel (y, x) covers rows y - 1 and y: around the corner (0, 0) one pixel is left of it.
    white = np.ones((400, 4, 4, 1), dtype=np.float32)
    area = (Cutout()(white, draw_of(np.arange(400))) == 0).sum(axis=(1, 2, 3))
    assert set(area.tolist()) == {1, 2, 4}


def test_cutout_paints_less_at_the_border():
    # Per axis 8 of 16 pixels; centres 0..7 lose 4, 3, 2, 1, 0, ... and centres 13..15 lose 1, 2, 3: 16 of 128 in all.
    n = 4000
    white = np.ones((n, 16, 16, 1), dtype=np.float32)
    share = (Cutout()(white, draw_of(np.arange(n))) == 0).mean()
    assert share == pytest.approx((0.5 * (1 - 16 / 128)) ** 2, rel=0.02)


def test_centres_are_uniform():
    n, h, w = 8000, 4, 6
    white = np.ones((n, h, w, 1), dtype=np.float32)
    black = Cutout(size=0.1)(white, draw_of(np.arange(n)))[..., 0] == 0  # one pixel an image
    counts = black.sum(axis=0)
    assert counts.sum() == n
    expected = n / (h * w)
    assert ((counts - expected) ** 2 / expected).sum() < 49.7  # chi-square, 23 degrees: above with probability 0.001


# --- Gaussian noise


def restated(images, sigmas, numbers):
    out = np.empty(images.shape)
    for n in range(len(images)):
        for place, value in enumerate(images[n].ravel().astype(np.float64)):
            out[n].ravel()[place] = min(1.0, max(0.0, value + sigmas[n] * numbers[n][place]))
    return out


@pytest.mark.parametrize(("size", "channels"), [(5, 1), (5, 3), (8, 3)])
def test_noise_equals_its_formula_in_float64(size, channels):
    images = noise(11, size, channels)
    result = GaussianNoise()(images.copy(), draw_of(np.arange(11)))
    draw = draw_of(np.arange(11))
    sigmas = draw.uniform(0.02, 0.2)
    words = draw.bits(math.ceil(size * size * channels / 4)).tolist()
    numbers = [
        [NormalDist().inv_cdf(((word >> shift) % 65536 + 0.5) / 65536) for word in row for shift in (0, 16, 32, 48)]
        for row in words
    ]
    assert np.abs(result - restated(images, sigmas, numbers)).max() < 1e-6


def test_noise_by_hand():
    # The middle of the table is one step around the median, its end the quantile of one half of 1 / 65536.
    from sslkit.augmentations.gaussian_noise import _quantiles

    table = _quantiles()
    assert table.shape == (65536,)
    assert table[32768] == pytest.approx(math.sqrt(2 * math.pi) / 2 / 65536, rel=1e-5)  # half a step / the density at 0
    assert table[-1] == pytest.approx(4.3249, abs=1e-4)
    assert (table == -table[::-1]).all()
    assert (np.diff(table) > 0).all()
    assert (table.astype(float) ** 2).mean() == pytest.approx(1, abs=3e-5)


def test_noise_is_normal_and_independent():
    numbers = normal(draw_of(np.arange(300)), 1001).astype(np.float64)
    assert numbers.shape == (300, 1001)
    assert kolmogorov(numbers.ravel()[:200_000], np.vectorize(NormalDist().cdf)) < 1.95
    assert abs(numbers.mean()) < 4 / math.sqrt(numbers.size)
    assert abs((numbers**2).mean() - 1) < 4 * math.sqrt(2 / numbers.size)
    assert abs((numbers**4).mean() - 3) < 4 * math.sqrt(96 / numbers.size)
    for lag in (1, 2, 3, 4, 5, 32):  # neighbours of the same hash, and of the next
        assert abs((numbers[:, lag:] * numbers[:, :-lag]).mean()) < 4 / math.sqrt(numbers.size - 300 * lag)
        squares = (numbers[:, lag:] ** 2 - 1) * (numbers[:, :-lag] ** 2 - 1)
        assert abs(squares.mean()) < 4 * 2 / math.sqrt(numbers.size - 300 * lag)
    assert abs((numbers[1:] * numbers[:-1]).mean()) < 4 / math.sqrt(numbers.size)  # neighbouring images


def test_noise_drawn_in_parts_is_the_same():
    whole, parts = draw_of(np.arange(5)), draw_of(np.arange(5))
    assert (normal(whole, 23) == np.concatenate([normal(parts, 12), normal(parts, 11)], axis=1)).all()
    images = noise(2, 224, 3)  # larger than a part
    result = GaussianNoise()(images.copy(), draw_of([0, 1]))
    draw = draw_of([0, 1])
    sigmas = draw.uniform(0.02, 0.2)
    expected = np.clip(images + sigmas[:, None, None, None] * normal(draw, images[0].size).reshape(images.shape), 0, 1)
    assert np.abs(result - expected).max() < 1e-6


def test_each_image_has_its_own_uniform_sigma():
    n, low, high = 2000, 0.01, 0.08
    gray = np.full((n, 64, 64, 1), 0.5, dtype=np.float32)
    spread = GaussianNoise(sigma=(low, high))(gray, draw_of(np.arange(n))).astype(np.float64).std(axis=(1, 2, 3))
    assert kolmogorov(spread, lambda sigma: np.clip((sigma - low) / (high - low), 0, 1)) < 1.95


def test_noise_is_clipped():
    black = np.zeros((50, 32, 32, 3), dtype=np.float32)
    result = GaussianNoise(sigma=(0.1, 0.1))(black, draw_of(np.arange(50)))
    assert result.min() == 0
    assert (result == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert result.mean() == pytest.approx(0.1 / math.sqrt(2 * math.pi), rel=0.02)  # mean of max(0, sigma e)


def test_wrong_parameters():
    with pytest.raises(
        UserError, match=r"^sigma: must be \(low, high\) with 0 < low <= high, is \(0\.2, 0\.1\)\. Did you mean"
    ):
        GaussianNoise(sigma=(0.2, 0.1))
