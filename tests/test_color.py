"""Colour: every law against the authors' numbers, torchvision and a slow restatement; then what ColorDistortion draws."""

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional as torchvision

from sslkit.augmentations import color
from sslkit.augmentations.color_distortion import ColorDistortion
from sslkit.draws import Draw


def noise(n=6, size=9, channels=3, seed=0):
    return np.random.default_rng(seed).random((n, size, size, channels), dtype=np.float32)


def applied(law, images, *amounts):
    images = images.copy()
    law(images, *amounts)
    return images


def draw_of(n, *address):
    return Draw(np.arange(n), 0, *address)


def kolmogorov(values, uniform_low, uniform_high):
    """sqrt(n) times the largest gap between the empirical and a uniform distribution; above 1.95 with probability 0.001."""
    unit = (np.sort(values) - uniform_low) / (uniform_high - uniform_low)
    n = len(unit)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max(np.abs(steps[1:] - unit).max(), np.abs(unit - steps[:-1]).max())


# The laws.


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("brightness", color.multiply_brightness),
        ("contrast", color.contrast_by_channel),
        ("saturation", color.saturation_in_hsv),
        ("hue", color.hue),
    ],
)
def test_laws_equal_the_authors(shared, name, law, case):
    with np.load(shared / "golden" / "color.npz") as golden:
        images, factor, expected = golden["images"], golden[f"{name}_{case}_factor"], golden[f"{name}_{case}"]
    assert np.abs(applied(law, images, np.full(len(images), factor)) - expected).max() < 1e-4


def test_grayscale_equals_the_authors(shared):
    with np.load(shared / "golden" / "color.npz") as golden:
        assert np.abs(applied(color.grayscale, golden["images"]) - golden["grayscale"]).max() < 1e-6


@pytest.mark.parametrize(
    ("law", "theirs"),
    [
        (color.multiply_brightness, torchvision.adjust_brightness),
        (color.contrast_by_luma, torchvision.adjust_contrast),
        (color.saturation_by_luma, torchvision.adjust_saturation),
        (color.hue, torchvision.adjust_hue),
    ],
)
def test_laws_equal_torchvision(law, theirs):
    images = noise()
    factors = np.array([-0.4, -0.1, 0.0, 0.1, 0.3, 0.5]) if law is color.hue else np.array([0.0, 0.3, 0.9, 1.0, 1.3, 1.8])
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    expected = torch.stack([theirs(image, float(f)) for image, f in zip(planes, factors, strict=True)])
    assert np.abs(applied(law, images, factors) - expected.permute(0, 2, 3, 1).numpy()).max() < 2e-6
    gray = torchvision.rgb_to_grayscale(planes, num_output_channels=3).permute(0, 2, 3, 1)
    assert np.abs(applied(color.grayscale, images) - gray.numpy()).max() < 1e-6


def restated(law, image, amount):
    """One image in float64, pixel by pixel."""
    image = image.astype(np.float64)
    gray = image @ [0.2989, 0.587, 0.114]
    if law in (color.saturation_in_hsv, color.hue):
        for pixel in image.reshape(-1, 3):
            h, s, v = colorsys.rgb_to_hsv(*pixel)
            h, s = (h + amount, s) if law is color.hue else (h, min(s * amount, 1.0))
            pixel[:] = colorsys.hsv_to_rgb(h % 1.0, s, v)
        return image
    result = {
        color.multiply_brightness: image * amount,
        color.add_brightness: image + amount,
        color.contrast_by_channel: (image - image.mean((0, 1))) * amount + image.mean((0, 1)),
        color.contrast_by_luma: image * amount + gray.mean() * (1 - amount),
        color.saturation_by_luma: image * amount + gray[..., None] * (1 - amount),
    }[law]
    return result.clip(0, 1)


FACTOR_LAWS = (
    color.multiply_brightness,
    color.contrast_by_channel,
    color.contrast_by_luma,
    color.saturation_in_hsv,
    color.saturation_by_luma,
)


@pytest.mark.parametrize("law", [*FACTOR_LAWS, color.add_brightness, color.hue])
def test_laws_equal_their_formula_in_float64(law):
    amounts = np.linspace(0, 2.6, 6) if law in FACTOR_LAWS else np.linspace(-0.6, 0.6, 6)
    images = noise(seed=3)
    images[0, 0, :3] = [[0, 0, 0], [1, 1, 1], [1, 0, 0]]  # where hue or saturation has no value, or the largest
    expected = np.stack([restated(law, image, amount) for image, amount in zip(images, amounts, strict=True)])
    assert np.abs(applied(law, images, amounts) - expected).max() < 2e-6


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 3), st.integers(0, 1000))
def test_properties_of_the_laws(amount, seed):
    images = 0.4 + 0.2 * noise(2, seed=seed)
    factors, once = np.full(2, min(amount, 1.5)), np.ones(2)
    for law in FACTOR_LAWS:
        assert np.abs(applied(law, images, once) - images).max() < 1e-6
    assert np.abs(applied(color.contrast_by_channel, images, factors).mean((1, 2)) - images.mean((1, 2))).max() < 1e-5
    kept = color.luma(applied(color.contrast_by_luma, images, factors)).mean((1, 2))
    assert np.abs(kept - 0.9999 * color.luma(images).mean((1, 2)) / 0.9999).max() < 1e-3
    turned = applied(color.hue, images, np.full(2, amount))
    assert np.abs(applied(color.hue, turned, np.full(2, -amount)) - images).max() < 1e-5
    assert np.abs(turned.max(3) - images.max(3)).max() < 1e-6  # V of HSV stays
    gray = applied(color.saturation_in_hsv, images, np.zeros(2))
    assert np.abs(gray - images.max(3, keepdims=True)).max() < 1e-6


def test_laws_by_hand():
    pixel = np.array([1.0, 0.5, 0.0], dtype=np.float32).reshape(1, 1, 1, 3)
    third = applied(color.hue, pixel, np.array([1 / 3]))
    assert third.ravel() == pytest.approx([0, 1, 0.5], abs=1e-6)
    assert applied(color.hue, pixel, np.array([-1 / 3])).ravel() == pytest.approx([0.5, 0, 1], abs=1e-6)
    assert applied(color.saturation_in_hsv, pixel, np.array([0.5])).ravel() == pytest.approx([1, 0.75, 0.5], abs=1e-6)
    assert applied(color.grayscale, pixel).ravel() == pytest.approx([0.5924] * 3)
    pair = np.array([0.2, 0.4], dtype=np.float32).reshape(1, 1, 2, 1)
    assert applied(color.contrast_by_channel, pair, np.array([2.0])).ravel() == pytest.approx([0.1, 0.5])
    assert applied(color.add_brightness, pair, np.array([0.7])).ravel() == pytest.approx([0.9, 1.0])


@pytest.mark.parametrize("law", [color.saturation_in_hsv, color.saturation_by_luma, color.hue])
def test_one_channel_has_no_colour(law):
    images = noise(channels=1)
    assert np.array_equal(applied(law, images, np.full(6, 0.3)), images)
    assert np.array_equal(applied(color.grayscale, images), images)
    both = [applied(law, images, np.full(6, 0.3)) for law in (color.contrast_by_channel, color.contrast_by_luma)]
    assert np.array_equal(*both)


# What ColorDistortion draws.


@pytest.mark.parametrize("strength", [0.5, 1.0, 1.5])
def test_factors_are_uniform(strength):
    """On one plain colour contrast does nothing, so brightness, saturation and hue can be read off the result."""
    n, plain = 4000, (0.3, 0.3, 0.4)  # hue, saturation, value: small enough that nothing is clipped
    images = np.tile(np.array(colorsys.hsv_to_rgb(*plain), dtype=np.float32), (n, 2, 2, 1))
    result = ColorDistortion(strength=strength, jitter_p=1.0, gray_p=0.0)(images, draw_of(n))
    hsv = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in result[:, 0, 0].tolist()])
    low, high = max(0, 1 - 0.8 * strength), 1 + 0.8 * strength
    assert kolmogorov(hsv[:, 2] / plain[2], low, high) < 1.95
    seen = hsv[(hsv[:, 1] > 0.01) & (hsv[:, 2] > 0.01)]  # gray and black have no hue
    assert kolmogorov(seen[:, 0] - plain[0], -0.2 * strength, 0.2 * strength) < 1.95
    assert kolmogorov(seen[:, 1] / plain[1], max(low, 0.01 / plain[1]), high) < 1.95
    assert kolmogorov(seen[:, 1] / plain[1], low, 1.05 * high) > 1.95  # the statistic can fail
    assert abs(np.corrcoef(seen.T) - np.eye(3)).max() < 0.06


@pytest.mark.parametrize("law", ["tensorflow", "torchvision"])
def test_contrast_is_uniform(law):
    n = 4000
    images = np.tile(np.array([0.225, 0.275], dtype=np.float32).reshape(1, 1, 2, 1), (n, 1, 1, 1))
    pair = ColorDistortion(jitter_p=1.0, law=law)(images, draw_of(n))[:, 0, :, 0].astype(float)
    factor = (pair[:, 1] - pair[:, 0]) / pair.mean(1) / 0.2  # brightness cancels
    assert kolmogorov(factor, 0.2, 1.8) < 1.95


def test_brightness_may_be_added():
    images = np.full((4000, 1, 1, 1), 0.5, dtype=np.float32)
    added = ColorDistortion(strength=0.5, jitter_p=1.0, brightness="add")(images, draw_of(4000)).ravel() - 0.5
    assert kolmogorov(added, -0.4, 0.4) < 1.95


def test_hue_turns_by_half_a_circle_at_most():
    jitter = ColorDistortion(strength=4.0)._jitter
    assert (jitter._low[3], jitter._high[3]) == (-0.5, 0.5)
    assert (jitter._low[1], jitter._high[1]) == pytest.approx((0.0, 4.2))


def digits(distortion):
    """Let the laws write down their place in the order instead: 1 to 4, base 5."""

    def digit(number):
        def law(images, _amounts):
            images *= 5
            images += number

        return law

    distortion._jitter._laws = [digit(number) for number in range(1, 5)]
    return distortion


def test_each_order_is_as_likely():
    n = 24_000
    written = digits(ColorDistortion(jitter_p=0.5, law="torchvision"))(
        np.zeros((n, 1, 1, 1), dtype=np.float32), draw_of(n)
    ).ravel()
    orders, counts = np.unique(written[written > 0], return_counts=True)
    assert len(orders) == 24
    expected = counts.sum() / 24
    assert ((counts - expected) ** 2 / expected).sum() < 49.7  # chi-square with 23 degrees of freedom, probability 0.001


def test_fixed_order():
    written = digits(ColorDistortion(jitter_p=1.0, order="fixed", law="torchvision"))(
        np.zeros((9, 1, 1, 1), dtype=np.float32), draw_of(9)
    )
    assert set(written.ravel().tolist()) == {((1 * 5 + 2) * 5 + 3) * 5 + 4}


def test_saturation_and_hue_in_one_step():
    """The same as one after the other, either way."""
    images, factors, turns = noise(6), np.array([0.0, 0.3, 0.9, 1.0, 1.3, 1.8]), np.array([-0.4, -0.1, 0.0, 0.1, 0.3, 0.5])
    together = applied(color.saturation_and_hue_in_hsv, images, factors, turns)
    for first, second in (
        ((color.saturation_in_hsv, factors), (color.hue, turns)),
        ((color.hue, turns), (color.saturation_in_hsv, factors)),
    ):
        assert np.abs(together - applied(second[0], applied(first[0], images, first[1]), second[1])).max() < 2e-6


def test_shares_of_jitter_and_gray_are_independent():
    n = 8000
    images = np.tile(np.array([0.2, 0.3, 0.4], dtype=np.float32), (n, 1, 1, 1))
    result = ColorDistortion()(images.copy(), draw_of(n)).reshape(n, 3)
    gray = np.ptp(result, axis=1) == 0
    plain = color.luma(images[:1, 0, 0])[0]
    jittered = np.where(gray, np.abs(result[:, 0] - plain) > 1e-6, (result != images.reshape(n, 3)).any(1))
    for j, share_j in ((True, 0.8), (False, 0.2)):
        for g, share_g in ((True, 0.2), (False, 0.8)):
            share = share_j * share_g
            count = ((jittered == j) & (gray == g)).sum()
            assert abs(count - n * share) < 3.5 * math.sqrt(n * share * (1 - share))


@pytest.mark.parametrize("parameters", [{}, {"law": "torchvision", "brightness": "add"}, {"order": "fixed", "strength": 0.5}])
def test_the_whole_equals_a_slow_restatement(parameters):
    n = 40
    images = noise(n, 4, seed=7)
    result = ColorDistortion(**parameters)(images.copy(), draw_of(n, "color"))
    torch_law, s = parameters.get("law") == "torchvision", parameters.get("strength", 1.0)
    laws = [
        color.add_brightness if "brightness" in parameters else color.multiply_brightness,
        color.contrast_by_luma if torch_law else color.contrast_by_channel,
        color.saturation_by_luma if torch_law else color.saturation_in_hsv,
        color.hue,
    ]
    factor = (1 - 0.8 * s, 1 + 0.8 * s)
    bounds = [(-0.8 * s, 0.8 * s) if "brightness" in parameters else factor, factor, factor, (-0.2 * s, 0.2 * s)]
    for i in range(n):
        image = images[i].astype(np.float64)
        draw = Draw(np.array([i]), 0, "color")
        jittered, place = draw.chance(0.8)[0], draw.permutation(4)[0]
        amounts = [draw.uniform(*interval)[0] for interval in bounds]
        gray = draw.chance(0.2)[0]
        order = range(4) if "order" in parameters else np.argsort(place)
        for change in order if jittered else ():
            image = restated(laws[change], image, amounts[change])
        if gray:
            image = np.repeat((image @ [0.2989, 0.587, 0.114])[..., None], 3, axis=2)
        assert np.abs(result[i] - image).max() < 1e-5


def test_strength_zero_leaves_only_the_grayscale():
    images = noise(50)
    result = ColorDistortion(strength=0.0)(images.copy(), draw_of(50))
    gray = np.ptp(result, axis=3).max((1, 2)) == 0
    assert 0 < gray.sum() < 25
    assert np.array_equal(result[~gray], images[~gray])
    assert np.array_equal(ColorDistortion(strength=0.0, gray_p=0.0)(images.copy(), draw_of(50)), images)


def test_distortion_hides_which_crops_belong_together():
    """Without it the mean colour alone finds the other view (arXiv:2002.05709, section 3.1)."""
    photos = np.random.default_rng(0).random((100, 1, 1, 3)) * 0.8 + 0.2 * noise(100, 8)
    crops = [photos[:, :6, :6].astype(np.float32), photos[:, 2:, 2:].astype(np.float32)]

    def found(one, other):
        a, b = one.mean((1, 2)), other.mean((1, 2))
        return (np.linalg.norm(a[:, None] - b[None], axis=2).argmin(1) == np.arange(100)).mean()

    plain = found(*crops)
    distorted = found(*(ColorDistortion()(crop, draw_of(100, view)) for view, crop in enumerate(crops)))
    assert plain > 0.9
    assert distorted < 0.2
