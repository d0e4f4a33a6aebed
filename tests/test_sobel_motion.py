"""Sobel and motion blur: two filters, each against its formula in float64."""

import math

import numpy as np
import pytest
from test_augmentation_contract import draw_of, noise

from sslkit.augmentations.motion_blur import MotionBlur, path
from sslkit.augmentations.sobel import Sobel
from sslkit.errors import UserError


def mirrored(i, length):
    """Index i of an endless image mirrored at its borders, which are not repeated."""
    if length == 1:
        return 0
    i %= 2 * (length - 1)
    return min(i, 2 * (length - 1) - i)


# --- Sobel


def sobel(image):
    """A literal restatement in float64: nine neighbours of each pixel."""
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    h, w, c = image.shape
    out = np.empty(image.shape)
    for y in range(h):
        for x in range(w):
            for channel in range(c):
                part = [[float(image[mirrored(y + i, h), mirrored(x + j, w), channel]) for j in (-1, 0, 1)] for i in (-1, 0, 1)]
                out[y, x, channel] = min(1.0, math.hypot((kernel * part).sum(), (kernel.T * part).sum()))
    return out


@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 6), (2, 5), (3, 3), (11, 8)])
@pytest.mark.parametrize("channels", [1, 3])
def test_sobel_equals_its_formula_in_float64(h, w, channels):
    images = noise(4, 11, channels)[:, :h, :w].copy()
    expected = np.stack([sobel(image) for image in images])
    assert np.abs(Sobel()(images, draw_of(np.arange(4))) - expected).max() < 1e-6


def test_sobel_by_hand():
    edge = np.zeros((1, 5, 6, 1), dtype=np.float32)
    edge[:, :, 3:] = 1  # black | white: the two columns at the edge give 1, all else 0
    result = Sobel()(edge.copy(), draw_of([0]))[0, ..., 0]
    assert result.tolist() == [[0, 0, 1, 1, 0, 0]] * 5
    level = Sobel()(np.ascontiguousarray(edge.transpose(0, 2, 1, 3)), draw_of([0]))[0, ..., 0]
    assert (level == result.T).all()
    point = np.zeros((1, 3, 3, 1), dtype=np.float32)
    point[0, 0, 0] = 1  # the centre sees it in a corner: gx = gy = -1/4
    assert Sobel()(point, draw_of([0]))[0, 1, 1, 0] == pytest.approx(math.sqrt(2) / 4)


def test_sobel_of_a_ramp_is_its_slope():
    y, x = np.mgrid[0:20, 0:20]
    ramp = (0.1 + 0.02 * x + 0.01 * y).astype(np.float32)[None, ..., None]
    inside = Sobel()(ramp, draw_of([0]))[0, 1:-1, 1:-1]
    assert np.abs(inside - 2 * math.hypot(0.02, 0.01)).max() < 1e-6  # the neighbours are two pixels apart


def test_sobel_turns_with_the_image_and_sees_no_surface():
    images = noise(2, 9, 3)
    result = Sobel()(images.copy(), draw_of([0, 1]))
    turned = Sobel()(np.ascontiguousarray(np.rot90(images, axes=(1, 2))), draw_of([0, 1]))
    assert np.abs(turned - np.rot90(result, axes=(1, 2))).max() < 1e-6
    assert Sobel()(np.full((1, 7, 7, 3), 0.3, dtype=np.float32), draw_of([0])).max() < 1e-7


# --- motion blur


def at(image, y, x, border):
    """The image between its pixels, by bilinear interpolation."""
    h, w, _ = image.shape
    total = np.zeros(image.shape[2])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            if border == "reflect":
                total += weight * image[mirrored(row, h), mirrored(column, w)]
            elif 0 <= row < h and 0 <= column < w:
                total += weight * image[row, column]
    return total


def moved(image, length, angle, border):
    """A literal restatement: the mean along each pixel's path."""
    image = image.astype(np.float64)
    m = math.ceil(4 * length)
    out = np.zeros(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for j in range(m):
                t = length * ((j + 0.5) / m - 0.5)
                out[y, x] += at(image, y - t * math.sin(angle), x + t * math.cos(angle), border) / m
    return out


@pytest.mark.parametrize("border", ["zero", "reflect"])
@pytest.mark.parametrize(("h", "w", "length"), [(13, 17, (0.1, 0.6)), (22, 22, (0.7, 1.0)), (2, 5, (0.9, 1.0))])
def test_motion_equals_its_formula_in_float64(border, h, w, length):
    images = noise(4, 22, 3)[:, :h, :w].copy()
    blurred = MotionBlur(length=length, border=border)(images.copy(), draw_of(np.arange(4)))
    draw = draw_of(np.arange(4))
    lengths, angles = draw.uniform(*length) * min(h, w), draw.uniform(0, math.pi)
    expected = [moved(image, *one, border) for image, *one in zip(images, lengths, angles, strict=True)]
    assert np.abs(blurred - np.stack(expected)).max() < 2e-6


def test_path_by_hand():
    assert path(2.0, 0.0).tolist() == [[0.25, 0.5, 0.25]]  # half of the path is nearer than half a pixel
    assert path(4.0, 0.0).tolist() == [[0.125, 0.25, 0.25, 0.25, 0.125]]
    assert path(2.0, math.pi / 2)[:, 1] == pytest.approx([0.25, 0.5, 0.25])
    assert path(1e-9, 1.0).tolist() == [[1.0]]


def test_path_climbs_counter_clockwise():
    kernel = path(6.0, math.pi / 4)
    assert kernel[0, -1] == kernel[-1, 0] > kernel[0, 0] == kernel[-1, -1] == 0


@pytest.mark.parametrize("length", [0.3, 1.0, 2.5, 9.7, 22.4])
@pytest.mark.parametrize("degrees", [0, 17, 45, 90, 133, 179])
def test_path_has_sum_one_its_angle_and_its_length(length, degrees):
    kernel = path(length, math.radians(degrees)).astype(np.float64)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel >= 0).all()
    assert np.abs(kernel - kernel[::-1, ::-1]).max() < 1e-7  # its middle is the pixel
    ry, rx = kernel.shape[0] // 2, kernel.shape[1] // 2
    y, x = np.mgrid[ry : -ry - 1 : -1, -rx : rx + 1]
    assert ((kernel * x * y).sum()) == pytest.approx(
        length**2 / 12 * (1 - 1 / math.ceil(4 * length) ** 2) * math.sin(2 * math.radians(degrees)) / 2,
        abs=1e-6 * length**2 + 1e-9,
    )  # bilinear weights keep the mixed moment of the m points exactly


def test_each_image_has_its_own_uniform_length_and_angle():
    # A path's larger moment is length^2 / 12, from 5.6 to 90 here; to each moment interpolation adds at most 1/4.
    n = 3000
    points = np.zeros((n, 41, 41, 1), dtype=np.float32)
    points[:, 20, 20] = 1
    blurred = MotionBlur(length=(0.2, 0.8), border="zero")(points, draw_of(np.arange(n)))[..., 0].astype(np.float64)
    y, x = np.mgrid[20:-21:-1, -20:21]
    xx, yy, xy = ((blurred * part).sum(axis=(1, 2)) for part in (x * x, y * y, x * y))
    angles = (0.5 * np.arctan2(2 * xy, xx - yy)) % np.pi
    lengths = np.sqrt(12 * np.sqrt((xx - yy) ** 2 + 4 * xy**2)) / 41
    for numbers in (angles / np.pi, (lengths - 0.2) / 0.6):
        gap = np.abs(np.sort(numbers) - np.arange(1, n + 1) / n).max()
        assert math.sqrt(n) * gap < 1.95  # Kolmogorov's statistic: above with probability 0.001
    assert abs(np.corrcoef(angles, lengths)[0, 1]) < 4 / math.sqrt(n)


def test_borders_darken_or_stay():
    white = np.ones((20, 24, 24, 1), dtype=np.float32)
    dark = MotionBlur(length=(0.5, 0.5), border="zero")(white.copy(), draw_of(np.arange(20)))
    assert (dark[:, 0, 0] < 0.6).all()
    assert np.abs(dark[:, 12, 12] - 1).max() < 1e-6
    stays = MotionBlur(length=(0.5, 1.0))(white.copy(), draw_of(np.arange(20)))
    assert np.abs(stays - 1).max() < 1e-5
    many = np.ones((300, 15, 15, 1), dtype=np.float32)
    many[:, :, 7:] = 0
    blurred = MotionBlur(length=(0.1, 1.0))(many, draw_of(np.arange(300)))
    assert blurred.max() <= 1  # rounding of the weights is clipped away
    assert blurred.min() >= 0


def test_more_length_leaves_less_detail():
    images = noise(1, 64, 1)
    spread = [float(MotionBlur(length=(s, s))(images, draw_of([0])).std()) for s in (0.01, 0.05, 0.2, 0.8)]
    assert spread == sorted(spread, reverse=True)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_path_as_long_as_a_tiny_image(size, border):
    blurred = MotionBlur(length=(1.0, 1.0), border=border)(noise(4, size, 3), draw_of(np.arange(4)))
    assert blurred.shape == (4, size, size, 3)
    assert np.isfinite(blurred).all()


def test_wrong_parameters():
    with pytest.raises(
        UserError, match=r"^length: must be \(low, high\) with 0 < low <= high <= 1, is \(0\.2, 0\.1\)\. Did you mean"
    ):
        MotionBlur(length=(0.2, 0.1))
