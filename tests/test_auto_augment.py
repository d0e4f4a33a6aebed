"""AutoAugment and RandAugment: their tables against torchvision's, every operation at every magnitude, and what is drawn."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from test_affine import source
from test_augmentation_contract import draw_of
from torchvision.transforms import InterpolationMode, autoaugment
from torchvision.transforms import functional as torchvision

from sslkit.augmentations import affine, auto_augment, rand_augment
from sslkit.augmentations.auto_augment import IMAGENET, AutoAugment
from sslkit.augmentations.magnitudes import distort, operations
from sslkit.augmentations.rand_augment import RandAugment

THEIR_NAMES = {
    "identity": "Identity",
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "brightness": "Brightness",
    "color": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "posterize": "Posterize",
    "solarize": "Solarize",
    "autocontrast": "AutoContrast",
    "equalize": "Equalize",
    "invert": "Invert",
}
MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def table_of(height=224, width=224, fill=0.0):
    return operations(height=height, width=width, interpolation="nearest", fill=fill)


def eight_bit(n, height=48, width=40, channels=3):
    rng = np.random.default_rng(n)
    coarse = rng.integers(0, 256, (n, height // 8, width // 8, channels)).repeat(8, 1).repeat(8, 2)
    return np.clip(coarse + rng.integers(-30, 31, coarse.shape), 0, 255).astype(np.uint8)


def as_floats(images):
    return images.astype(np.float32) / np.float32(255)


# The tables.


def test_the_policy_is_torchvisions():
    theirs = autoaugment.AutoAugment()._get_policies(autoaugment.AutoAugmentPolicy.IMAGENET)
    mine = [tuple((THEIR_NAMES[name], p, magnitude) for name, p, magnitude in pair) for pair in IMAGENET]
    assert mine == theirs
    assert len(mine) == 25


def test_operations_are_torchvisions():
    assert [THEIR_NAMES[name] for name in rand_augment.OPERATIONS] == list(RandAugmentSpace(31, (9, 9)))
    assert set(table_of()) == set(THEIR_NAMES)
    assert {name for pair in IMAGENET for name, _, _ in pair} <= set(table_of())


def RandAugmentSpace(bins, size):
    return autoaugment.RandAugment()._augmentation_space(bins, size)


@pytest.mark.parametrize("bins", [10, 31])
@pytest.mark.parametrize("size", [(224, 224), (32, 32), (331, 96), (17, 5)])
def test_amounts_are_torchvisions(bins, size):
    table = table_of(*size)
    spaces = autoaugment.AutoAugment()._augmentation_space(bins, size) | RandAugmentSpace(bins, size)
    for name, (_, amount, signed, neutral) in table.items():
        magnitudes, their_sign = spaces[THEIR_NAMES[name]]
        assert signed == their_sign
        assert (amount is None) == (magnitudes.ndim == 0)
        if amount is None:
            continue
        mine = np.array([amount(Fraction(m, bins - 1)) for m in range(bins)])
        theirs = magnitudes.double().numpy()
        if name == "solarize":
            mine *= 255
        if name.startswith("translate"):
            whole = np.abs(theirs - np.rint(theirs)) < 1e-4  # float32 may fall just short of a whole pixel
            theirs = np.where(whole, np.rint(theirs), np.trunc(theirs))
        assert np.abs(mine - theirs).max() < 1e-4
        assert neutral == (1.0 if name in ("brightness", "color", "contrast", "sharpness") else 0.0)


def theirs(image, name, magnitude):
    """Do torchvision's operation on one float image (h, w, c); in 8 bits what it does in 8 bits only."""
    plane = torch.from_numpy(image).permute(2, 0, 1)
    if name == "solarize":
        moved = torchvision.solarize(plane, magnitude / 255)
    elif name in ("posterize", "equalize"):
        levels = (255 * plane).round().to(torch.uint8)
        moved = autoaugment._apply_op(levels, THEIR_NAMES[name], magnitude, InterpolationMode.NEAREST, None).float() / 255
        if name == "equalize" and torch.equal((255 * moved).round().to(torch.uint8), levels):
            moved = plane
    else:
        moved = autoaugment._apply_op(plane, THEIR_NAMES[name], magnitude, InterpolationMode.NEAREST, None)
    return moved.permute(1, 2, 0).numpy()


def ties(name, magnitude, height, width):
    """Which pixels come from just between two, where float32 decides."""
    if name not in MOVING:
        return np.zeros((height, width), dtype=bool)
    magnitude = math.trunc(magnitude) if name.startswith("translate") else magnitude
    y, x = np.mgrid[:height, :width] + 0.5
    places = source(getattr(affine, name), magnitude, x, y, height=height, width=width)
    return np.minimum(*(np.abs(place - np.rint(place)) for place in places)) < 1e-4


@pytest.mark.parametrize(("bins", "channels"), [(10, 1), (31, 3)])
@pytest.mark.parametrize("name", THEIR_NAMES)
def test_operations_equal_torchvision_at_every_magnitude(name, channels, bins):
    images = as_floats(eight_bit(1, channels=channels))
    table = table_of(*images.shape[1:3])
    space = autoaugment.AutoAugment()._augmentation_space(bins, images.shape[1:3]) | RandAugmentSpace(bins, images.shape[1:3])
    magnitudes, signed = space[THEIR_NAMES[name]]
    for m in range(bins if magnitudes.ndim else 1):
        for negative in (False, True) if signed else (False,):
            result = images.copy()
            distort(
                result,
                table=table,
                choices=[(name, Fraction(m, bins - 1))],
                chosen=np.zeros(1, dtype=np.int64),
                rows=np.ones(1, dtype=bool),
                negative=np.array([negative]),
            )
            magnitude = float(magnitudes[m]) if magnitudes.ndim else 0.0
            magnitude = -magnitude if negative else magnitude
            wrong = np.abs(result[0] - theirs(images[0], name, magnitude)).max(2) > 2e-6
            assert not (wrong & ~ties(name, magnitude, 48, 40)).any()


@pytest.mark.parametrize("name", [name for name in THEIR_NAMES if name not in MOVING])
def test_operations_equal_torchvision_in_8_bits(name):
    """To one level, where torchvision cuts to whole levels, plus what it rounds on the way."""
    images = eight_bit(1)
    space = autoaugment.AutoAugment()._augmentation_space(31, (48, 40)) | RandAugmentSpace(31, (48, 40))
    magnitudes, signed = space[THEIR_NAMES[name]]
    on_the_way = 0.5 if name in ("color", "contrast", "sharpness") else 0.0  # luma, its mean, the smoothed image
    for m in range(0, 31, 3 if magnitudes.ndim else 31):
        for sign in (1, -1) if signed else (1,):
            magnitude = sign * float(magnitudes[m]) if magnitudes.ndim else 0.0
            plane = torch.from_numpy(images[0]).permute(2, 0, 1)
            expected = autoaugment._apply_op(plane, THEIR_NAMES[name], magnitude, InterpolationMode.NEAREST, None)
            result = as_floats(images)
            law, amount, _, neutral = table_of(48, 40)[name]
            law(result, *([] if amount is None else [np.array([neutral + sign * amount(Fraction(m, 30))])]))
            cut = 255 * result[0].astype(np.float64) - expected.permute(1, 2, 0).numpy()
            assert cut.min() > -1e-3 - 2 * on_the_way * abs(magnitude)
            assert cut.max() < 1 + 1e-3 + 2 * on_the_way * abs(magnitude)


# What is drawn.


class Recorder:
    """Stands for `distort` and writes down what it is asked for."""

    def __init__(self):
        self.steps = []

    def __call__(self, images, *, table, choices, chosen, rows, negative):
        self.steps.append((choices, chosen, rows, negative))


def chi_square(counts):
    expected = counts.sum() / counts.size
    return ((counts - expected) ** 2 / expected).sum()


def test_law_of_auto_augment(monkeypatch):
    n = 50_000
    recorder = Recorder()
    monkeypatch.setattr(auto_augment, "distort", recorder)
    AutoAugment()(np.zeros((n, 1, 1, 1), dtype=np.float32), draw_of(np.arange(n)))
    first, second = recorder.steps
    assert np.array_equal(first[1], second[1])
    assert chi_square(np.bincount(first[1], minlength=25)) < 51.2  # 24 degrees of freedom, probability 0.001
    deviations = []
    for step, (choices, chosen, rows, negative) in enumerate(recorder.steps):
        assert abs(negative.mean() - 0.5) < 3.3 * math.sqrt(0.25 / n)
        for pair in range(25):
            name, p, magnitude = IMAGENET[pair][step]
            assert choices[pair] == (name, Fraction(magnitude or 0, 9))
            done = rows[chosen == pair]
            if p in (0.0, 1.0):
                assert (done == p).all()
            else:
                deviations.append((done.mean() - p) / math.sqrt(p * (1 - p) / len(done)))
    assert len(deviations) == 42
    assert np.square(deviations).sum() < 76.1  # chi-square with 42 degrees of freedom, probability 0.001
    together = np.array([[((first[3] == a) & (second[3] == b)).sum() for a in (0, 1)] for b in (0, 1)])
    assert chi_square(together) < 16.3  # 3 degrees of freedom
    same = first[1] == 3  # posterize, 0.6, twice
    both = np.array([[((first[2] == a) & (second[2] == b) & same).sum() for a in (0, 1)] for b in (0, 1)])
    expected = np.outer([0.4, 0.6], [0.4, 0.6]) * same.sum()
    assert ((both - expected) ** 2 / expected).sum() < 16.3


def test_law_of_rand_augment(monkeypatch):
    n = 50_000
    recorder = Recorder()
    monkeypatch.setattr(rand_augment, "distort", recorder)
    RandAugment(num_ops=3, magnitude=12)(np.zeros((n, 1, 1, 1), dtype=np.float32), draw_of(np.arange(n)))
    assert len(recorder.steps) == 3
    for choices, _, rows, negative in recorder.steps:
        assert choices == [(name, Fraction(12, 30)) for name in rand_augment.OPERATIONS]
        assert rows.all()
        assert abs(negative.mean() - 0.5) < 3.3 * math.sqrt(0.25 / n)
    one, two, three = (step[1] for step in recorder.steps)
    for a, b in ((one, two), (one, three), (two, three)):
        assert chi_square(np.bincount(14 * a + b, minlength=196)) < 261.0  # 195 degrees of freedom, probability 0.001
    with_sign = np.bincount(2 * one + recorder.steps[0][3], minlength=28)
    assert chi_square(with_sign) < 55.5  # 27 degrees of freedom


def policy_of(pair_and_draws):
    return [(name, p, Fraction(magnitude or 0, 9)) for name, p, magnitude in IMAGENET[pair_and_draws]]


def their_magnitude(name, level, size, negative):
    """As in torchvision's table, written out again."""
    height, width = size
    t = float(level)
    magnitude = {
        "rotate": 30 * t,
        "shear_x": 0.3 * t,
        "shear_y": 0.3 * t,
        "translate_x": math.floor(150 / 331 * width * t + 1e-9),
        "translate_y": math.floor(150 / 331 * height * t + 1e-9),
        "posterize": 8 - round(4 * t),
        "solarize": 255 * (1 - t),
    }.get(name, 0.9 * t)
    return -magnitude if negative and name not in ("posterize", "solarize") else magnitude


@pytest.mark.parametrize("rand", [False, True])
def test_the_whole_equals_torchvision_image_by_image(rand):
    """Each image alone, with its own draws, through torchvision's operations."""
    n = 150
    images = as_floats(eight_bit(n))
    operation = RandAugment(magnitude=14) if rand else AutoAugment()
    result = operation(images.copy(), draw_of(np.arange(n)))
    gaps = np.zeros(n)
    for i in range(n):
        draw, image = draw_of([i]), images[i]
        chosen = None if rand else draw.integers(25)[0]
        for step in range(2):
            if rand:
                name, level, done = rand_augment.OPERATIONS[draw.integers(14)[0]], Fraction(14, 30), True
            else:
                name, p, level = policy_of(chosen)[step]
                done = draw.uniform()[0] < p
            negative = draw.uniform()[0] < 0.5
            if done:
                image = theirs(np.ascontiguousarray(image), name, float(their_magnitude(name, level, (48, 40), negative)))
        gaps[i] = np.abs(result[i] - image).mean()
    assert (gaps < 1e-5).mean() > 0.9  # elsewhere a pixel lies just between two, or a value between two levels
    assert gaps.max() < 0.01


def test_by_hand():
    table = table_of(4, 4)
    images = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 4, 4, 1).repeat(4, axis=0)
    before = images.copy()
    distort(
        images,
        table=table,
        choices=[("invert", Fraction(0)), ("translate_x", Fraction(1)), ("solarize", Fraction(1, 2))],
        chosen=np.array([0, 1, 1, 2]),
        rows=np.array([True, True, True, False]),
        negative=np.array([True, False, True, False]),
    )
    assert np.array_equal(images[0], 1 - before[0])
    assert np.array_equal(images[1, :, 1:], before[1, :, :-1])  # 150/331 of 4 pixels, cut: one to the right
    assert (images[1, :, 0] == 0).all()
    assert np.array_equal(images[2, :, :-1], before[2, :, 1:])
    assert np.array_equal(images[3], before[3])


def test_magnitude_zero_leaves_most_images_alone():
    """What has no magnitude stays as strong; a threshold of 1 inverts white alone."""
    n = 200
    images = 0.9 * as_floats(eight_bit(n))
    result = RandAugment(magnitude=0, num_ops=1)(images.copy(), draw_of(np.arange(n)))
    chosen = draw_of(np.arange(n)).integers(14)
    changed = np.abs(result - images).max((1, 2, 3)) > 1e-6
    strong = np.isin(chosen, [rand_augment.OPERATIONS.index(name) for name in ("autocontrast", "equalize", "posterize")])
    assert np.array_equal(changed, strong)
