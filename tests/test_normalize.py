"""Normalisation: its formula, and what it says when the numbers do not match the channels."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from test_augmentation_contract import BATCHES, assert_same_bits, draw_of, noise
from torchvision.transforms import functional as torchvision

from sslkit.augmentations.normalize import Normalize
from sslkit.errors import UserError
from sslkit.signatures import check_contract, model_of

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize("channels", [1, 3])
def test_same_bits_in_any_batch(channels, size):
    images = noise(BATCHES[size], size, channels)
    operation = Normalize() if channels == 3 else Normalize(mean=0.1307, std=0.3081)
    assert_same_bits(lambda samples: operation(images[samples], draw_of(samples)), len(images))


def test_normalize_equals_its_formula_in_float64():
    images = noise(3, 7, 3)
    expected = np.empty(images.shape)
    for place in np.ndindex(images.shape):
        expected[place] = (float(images[place]) - IMAGENET[0][place[3]]) / IMAGENET[1][place[3]]
    assert np.abs(Normalize()(images.copy(), draw_of(np.arange(3))) - expected).max() < 1e-6


def test_normalize_equals_torchvision():
    images = noise(3, 33, 3)
    theirs = torchvision.normalize(torch.from_numpy(images).permute(0, 3, 1, 2), *IMAGENET).permute(0, 2, 3, 1).numpy()
    assert np.abs(Normalize()(images.copy(), draw_of(np.arange(3))) - theirs).max() < 1e-6


def test_by_hand():
    images = np.array([0.25, 0.5, 1.0], dtype=np.float32).reshape(1, 1, 1, 3)
    assert Normalize(mean=(0.25, 0.0, 0.5), std=(9.0, 0.5, 0.25))(images.copy(), draw_of([0])).ravel().tolist() == [0, 1, 2]
    assert Normalize(mean=0.5, std=0.25)(images.copy(), draw_of([0])).ravel().tolist() == [-1, 0, 2]


def test_own_statistics_give_mean_0_and_deviation_1():
    images = noise(20, 32, 3) ** np.array([1, 2, 3], dtype=np.float32)
    pixels = images.reshape(-1, 3).astype(np.float64)
    operation = Normalize(mean=tuple(pixels.mean(axis=0)), std=tuple(pixels.std(axis=0)))
    result = operation(images.copy(), draw_of(np.arange(20))).reshape(-1, 3).astype(np.float64)
    assert np.abs(result.mean(axis=0)).max() < 1e-6
    assert np.abs(result.std(axis=0) - 1).max() < 1e-6


def test_oblong_strided_and_no_images():
    images = noise(4, 20, 3)
    for strided in (images[:, :12], images[:, :, ::-1], images[::-1, ::2, ::3]):
        expected = Normalize()(strided.copy(order="C"), draw_of(np.arange(4)))
        result = Normalize()(strided, draw_of(np.arange(4)))
        assert result.flags.c_contiguous
        assert result.dtype == np.float32
        assert np.array_equal(result, expected)
    assert Normalize()(noise(0, 8, 3), draw_of(np.arange(0))).shape == (0, 8, 8, 3)


@pytest.mark.parametrize("numbers", [0.5, (0.5,)])
def test_one_number_for_one_channel(numbers):
    images = noise(2, 5, 1)
    result = Normalize(mean=numbers, std=numbers)(images.copy(), draw_of([0, 1]))
    assert np.abs(result - (images - 0.5) / 0.5).max() < 1e-6


@pytest.mark.parametrize(
    ("parameters", "channels", "message"),
    [
        ({}, 1, r"^normalize: mean has 3 numbers, and the images have 1 channel\. Give one number a channel, or a single one"),
        ({"mean": 0.5}, 1, r"^normalize: std has 3 numbers, and the images have 1 channel\."),
        ({"mean": (0.5,), "std": (1.0,)}, 3, r"^normalize: mean has 1 number, and the images have 3 channels\."),
    ],
)
def test_numbers_that_do_not_match_the_channels(parameters, channels, message):
    with pytest.raises(UserError, match=message):
        Normalize(**parameters)(noise(2, 5, channels), draw_of([0, 1]))


def test_wrong_parameters():
    with pytest.raises(UserError, match=r"^mean: has 1 number, and std 3 numbers; give each one a channel"):
        Normalize(mean=(0.5,))
    with pytest.raises(UserError, match=r"^std: must be above 0, is \(1\.0, 0\.0, 1\.0\)"):
        Normalize(std=(1.0, 0.0, 1.0))


def test_recipes():
    check_contract(Normalize, kind="augmentations", offered=(), calls={}, takes={"__call__": 2}, reserved=("p",))
    model = model_of(Normalize, name="normalize", options={})
    assert model.model_validate_json('{"mean": 0.5, "std": [0.2, 0.3, 0.4]}').std == (0.2, 0.3, 0.4)
    for wrong in ('{"mean": []}', '{"std": 0.0}', '{"std": [0.1, 0.0, 0.1]}', '{"mean": "imagenet"}'):
        with pytest.raises(ValidationError):
            model.model_validate_json(wrong)
