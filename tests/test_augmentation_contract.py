"""What holds for every augmentation: the contract, the range of values, and the same bits whatever batch an image is in."""

import numpy as np
import pytest
from pydantic import ValidationError

from sslkit.augmentations import registry
from sslkit.augmentations.all_of import AllOf
from sslkit.augmentations.auto_augment import AutoAugment
from sslkit.augmentations.autocontrast import Autocontrast
from sslkit.augmentations.center_crop import CenterCrop
from sslkit.augmentations.color_distortion import ColorDistortion
from sslkit.augmentations.color_jitter import ColorJitter
from sslkit.augmentations.cutout import Cutout
from sslkit.augmentations.equalize import Equalize
from sslkit.augmentations.gaussian_blur import GaussianBlur
from sslkit.augmentations.gaussian_noise import GaussianNoise
from sslkit.augmentations.grayscale import Grayscale
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.motion_blur import MotionBlur
from sslkit.augmentations.normalize import Normalize
from sslkit.augmentations.one_of import OneOf
from sslkit.augmentations.posterize import Posterize
from sslkit.augmentations.rand_augment import RandAugment
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.augmentations.rotate import Rotate
from sslkit.augmentations.sobel import Sobel
from sslkit.augmentations.solarize import Solarize
from sslkit.augmentations.vertical_flip import VerticalFlip
from sslkit.draws import Draw

OPERATIONS = {
    "horizontal_flip": HorizontalFlip(),
    "color_distortion": ColorDistortion(),
    "color_distortion, jitter only": ColorDistortion(jitter_p=1.0, gray_p=0.0, strength=2.0),
    "color_distortion, torchvision": ColorDistortion(jitter_p=1.0, gray_p=0.5, law="torchvision"),
    "color_distortion, added": ColorDistortion(jitter_p=1.0, gray_p=0.0, brightness="add", order="fixed"),
    "color_jitter": ColorJitter(),
    "grayscale": Grayscale(),
    "gaussian_blur": GaussianBlur(kernel=0.5),
    "gaussian_blur, reflect": GaussianBlur(border="reflect"),
    "vertical_flip": VerticalFlip(),
    "rotate": Rotate(angles=(0, 180)),
    "rotate, half a turn": Rotate(angles=(180,)),
    "cutout": Cutout(),
    "cutout, small and gray": Cutout(size=0.2, fill=0.5),
    "gaussian_noise": GaussianNoise(),
    "gaussian_noise, one sigma": GaussianNoise(sigma=(0.5, 0.5)),
    "sobel": Sobel(),
    "motion_blur": MotionBlur(),
    "motion_blur, zero": MotionBlur(border="zero"),
    "motion_blur, long": MotionBlur(length=(0.5, 1.0)),
    "solarize": Solarize(),
    "solarize, low": Solarize(threshold=0.1),
    "posterize": Posterize(),
    "posterize, 1 bit": Posterize(bits=1),
    "equalize": Equalize(),
    "autocontrast": Autocontrast(),
    "auto_augment": AutoAugment(),
    "auto_augment, bilinear": AutoAugment(interpolation="bilinear", fill=0.5),
    "rand_augment": RandAugment(),
    "rand_augment, strong": RandAugment(num_ops=4, magnitude=30, interpolation="bilinear", fill=1.0),
    "one_of": OneOf(operations=[ColorJitter(), GaussianBlur(kernel=0.5), Cutout()]),
    "all_of": AllOf(operations=[HorizontalFlip(), GaussianNoise(), ColorJitter()], in_order="random"),
}
NOT_RANDOM = (HorizontalFlip, VerticalFlip, Rotate, Grayscale, Sobel, Solarize, Posterize, Equalize, Autocontrast)  # or hardly
CROPS = {
    "random_resized_crop": RandomResizedCrop(size=17),
    "random_resized_crop, bilinear": RandomResizedCrop(size=32, interpolation="bilinear"),
    "random_resized_crop, area": RandomResizedCrop(size=5, interpolation="area"),
    "random_resized_crop, tensorflow": RandomResizedCrop(size=17, law="tensorflow"),
    "center_crop": CenterCrop(size=33),
}
BATCHES = {5: 31, 17: 23, 32: 85, 33: 13, 224: 3}  # side in pixels -> images

operations = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
crops = pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
channels = pytest.mark.parametrize("channels", [1, 3])
sizes = pytest.mark.parametrize("size", BATCHES)


def noise(n, size, channels):
    return np.random.default_rng(size).random((n, size, size, channels), dtype=np.float32)


def photos(n, channels):
    rng = np.random.default_rng(n)
    return [rng.integers(0, 256, (*rng.integers(4, 90, 2), channels), dtype=np.uint8) for _ in range(n)]


def draw_of(samples):
    return Draw(np.asarray(samples), 0, "contract")


def parts(n):
    """The batch whole, image by image, in odd parts, and backwards."""
    yield [np.arange(n)]
    yield [np.array([i]) for i in range(n)]
    yield [np.arange(start, min(start + 7, n)) for start in range(0, n, 7)]
    yield [np.arange(n)[::-1].copy()]


def assert_same_bits(function, n):
    """`function(samples)` gives the views of some samples; each sample's must not depend on the others."""
    whole = function(np.arange(n))
    for split in parts(n):
        for samples in split:
            assert np.array_equal(function(samples).view(np.uint32), whole[samples].view(np.uint32))


@sizes
@channels
@operations
def test_same_bits_in_any_batch(operation, channels, size):
    images = noise(BATCHES[size], size, channels)
    images[1] *= 0.3
    assert_same_bits(lambda samples: operation(images[samples], draw_of(samples)), len(images))


@channels
@crops
def test_crops_give_the_same_bits_in_any_batch(crop, channels):
    images = photos(29, channels)
    full = np.array([image.shape[:2] for image in images])

    def views(samples):
        return crop([images[i] for i in samples], crop.boxes(full[samples], draw_of(samples)))

    assert_same_bits(views, len(images))


def test_the_test_of_bits_can_fail():
    images = noise(9, 5, 3)
    with pytest.raises(AssertionError):
        assert_same_bits(lambda samples: images[samples] - images[samples].mean(), 9)
    with pytest.raises(AssertionError):
        assert_same_bits(
            lambda samples: images[samples] * np.float32(np.random.default_rng(0).random(len(samples)))[:, None, None, None], 9
        )


@sizes
@channels
@operations
def test_form_and_range(operation, channels, size):
    images = noise(BATCHES[size], size, channels)
    images[0], images[1] = 0, 1
    form = images.shape
    result = operation(images.copy(), draw_of(np.arange(form[0])))
    assert (result.shape, result.dtype) == (form, np.float32)
    assert result.flags.c_contiguous
    assert result.min() >= 0
    assert result.max() <= 1


@channels
@crops
def test_crops_give_squares(crop, channels):
    images = photos(11, channels)
    boxes = crop.boxes(np.array([image.shape[:2] for image in images]), draw_of(np.arange(11)))
    views = crop(images, boxes)
    assert (boxes.shape, boxes.dtype) == ((11, 4), np.int64)
    assert (views.shape, views.dtype) == ((11, crop.size, crop.size, channels), np.float32)
    assert views.min() >= 0
    assert views.max() <= 1


@operations
def test_oblong_strided_and_no_images(operation):
    images = noise(20, 20, 3)
    images[0], images[1], images[2:8] = 0, 1, images[2:8].round()
    for strided in (
        images[:, :12],
        images[:, :, ::-1],
        images[::-1, ::2, ::3],
        images[..., :1],
        images[:, :1],
        images[:, :, :2],
        images.transpose(0, 2, 1, 3),
    ):
        samples, form = np.arange(len(strided)), strided.shape
        expected = operation(strided.copy(order="C"), draw_of(samples))
        result = operation(strided, draw_of(samples))
        assert (result.shape, result.dtype, result.flags.c_contiguous) == (form, np.float32, True)
        assert np.array_equal(result, expected)
        assert result.min() >= 0
        assert result.max() <= 1
    assert operation(noise(0, 8, 3), draw_of(np.arange(0))).shape == (0, 8, 8, 3)


@operations
def test_another_sample_gets_another_view(operation):
    if isinstance(operation, NOT_RANDOM):
        return  # which images they are applied to is decided around them
    image = noise(1, 32, 3)
    views = operation(np.repeat(image, 40, axis=0), draw_of(np.arange(40)))
    assert len(np.unique(views.reshape(40, -1), axis=0)) > 20


@pytest.mark.parametrize("name", registry.builtins)
def test_every_built_in_keeps_the_contract(name):
    component = registry.load(name)
    assert component.__doc__
    parameters = {"size": 8} if "crop" in name else {"operations": [{"name": "cutout", "p": 1.0}]} if "_of" in name else {}
    assert isinstance(registry.build(name, parameters), component)
    registry.model(name)(**parameters)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("horizontal_flip", 0.5),
        ("gaussian_blur", 0.5),
        ("color_distortion", 1.0),
        ("center_crop", 1.0),
        ("grayscale", 0.2),
        ("solarize", 0.2),
    ],
)
def test_share_of_images_an_operation_is_applied_to(name, share):
    size = {"size": 8} if "crop" in name else {}
    assert registry.model(name)(**size).p == share


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("random_resized_crop", {}),
        ("random_resized_crop", {"size": 0}),
        ("random_resized_crop", {"size": 8, "area": (0.0, 1.0)}),
        ("random_resized_crop", {"size": 8, "area": (0.1, 1.1)}),
        ("random_resized_crop", {"size": 8, "interpolation": "nearest"}),
        ("center_crop", {"size": 8, "fraction": 1.1}),
        ("horizontal_flip", {"p": -0.1}),
        ("color_distortion", {"strength": -1.0}),
        ("color_distortion", {"law": "pil"}),
        ("gaussian_blur", {"kernel": 0.0}),
        ("gaussian_blur", {"sigma": (0.0, 2.0)}),
        ("cutout", {"size": 0.0}),
        ("cutout", {"size": 1.1}),
        ("cutout", {"fill": -0.1}),
        ("cutout", {"fill": 1.1}),
        ("gaussian_noise", {"sigma": (0.0, 0.1)}),
        ("gaussian_noise", {"sigma": 0.1}),
        ("sobel", {"scale": 1.0}),
        ("motion_blur", {"length": (0.0, 0.1)}),
        ("motion_blur", {"length": (0.1, 1.1)}),
        ("motion_blur", {"border": "wrap"}),
        ("solarize", {"threshold": 1.1}),
        ("solarize", {"p": -0.1}),
        ("posterize", {"bits": 0}),
        ("posterize", {"bits": 9}),
        ("auto_augment", {"interpolation": "bicubic"}),
        ("auto_augment", {"fill": 128.0}),
        ("rand_augment", {"num_ops": 0}),
        ("rand_augment", {"magnitude": 31}),
        ("rand_augment", {"magnitude": -1}),
    ],
)
def test_recipes_refuse(name, parameters):
    with pytest.raises(ValidationError):
        registry.model(name)(**parameters)


def test_every_built_in_is_held_to_it():
    tried = {type(one) for one in (*OPERATIONS.values(), *CROPS.values())}
    assert {registry.load(name) for name in registry.builtins} - tried == {Normalize}  # which leaves [0, 1]; see its own tests
