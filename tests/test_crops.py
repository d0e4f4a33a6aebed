"""Crops and the flip: where boxes lie, and what resizing and mirroring give."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import RandomResizedCrop as Torchvision

from sslkit.augmentations.center_crop import CenterCrop
from sslkit.augmentations.crop import cut
from sslkit.augmentations.horizontal_flip import HorizontalFlip
from sslkit.augmentations.random_resized_crop import RandomResizedCrop
from sslkit.draws import Draw
from sslkit.errors import UserError


def sizes_of(height, width, n):
    return np.tile(np.array([height, width], dtype=np.int64), (n, 1))


def photo(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def draw_of(n, *address):
    return Draw(np.arange(n), 0, *address)


def kolmogorov(values, uniform_low, uniform_high):
    """sqrt(n) times the largest gap between the empirical and a uniform distribution; above 1.95 with probability 0.001."""
    unit = (np.sort(values) - uniform_low) / (uniform_high - uniform_low)
    n = len(unit)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max(np.abs(steps[1:] - unit).max(), np.abs(unit - steps[:-1]).max())


def smirnov(a, b):
    """The same for two samples."""
    grid = np.union1d(a, b)
    gap = np.searchsorted(np.sort(a), grid, side="right") / len(a) - np.searchsorted(np.sort(b), grid, side="right") / len(b)
    return math.sqrt(len(a) * len(b) / (len(a) + len(b))) * np.abs(gap).max()


def law_by_hand(height, width, draw, area, aspect):
    """One box, as torchvision's source says it, from the draws of one sample."""
    shares = draw.uniform(*area, size=10)[0]
    ratios = draw.uniform(math.log(aspect[0]), math.log(aspect[1]), size=10)[0]
    down, right = draw.uniform(size=2)[0]
    for share, ratio in zip(shares, np.exp(ratios), strict=True):
        w, h = round(math.sqrt(height * width * share * ratio)), round(math.sqrt(height * width * share / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(down * (height - h + 1)), int(right * (width - w + 1)), h, w
    w, h = width, height
    if width / height < aspect[0]:
        h = round(width / aspect[0])
    elif width / height > aspect[1]:
        w = round(height * aspect[1])
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize(
    ("area", "aspect"), [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.9, 1.0), (0.5, 2.0)), ((0.05, 0.14), (1.0, 1.0))]
)
def test_boxes_are_torchvisions_law_word_by_word(area, aspect):
    shapes = np.random.default_rng(1).integers(1, 400, (300, 2))
    shapes[:20] = [[7, 300], [300, 7]] * 10  # no try fits: the central crop
    boxes = RandomResizedCrop(size=8, area=area, aspect=aspect).boxes(shapes, draw_of(300, "crop"))
    by_hand = [law_by_hand(h, w, Draw(np.array([i]), 0, "crop"), area, aspect) for i, (h, w) in enumerate(shapes.tolist())]
    assert boxes.tolist() == [list(box) for box in by_hand]


@pytest.mark.parametrize(("height", "width"), [(375, 500), (32, 32), (40, 100)])
def test_boxes_are_distributed_as_torchvisions(height, width):
    n = 3000
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    theirs = np.array([Torchvision.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(n)])
    ours = RandomResizedCrop(size=8).boxes(sizes_of(height, width, n), draw_of(n))
    for column in range(4):
        assert smirnov(ours[:, column], theirs[:, column]) < 1.95
    assert smirnov(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]) < 1.95


def test_the_two_sample_statistic_can_fail():
    sizes = sizes_of(375, 500, 3000)
    boxes = [RandomResizedCrop(size=8, area=(low, 1.0)).boxes(sizes, draw_of(3000, str(low))) for low in (0.08, 0.2)]
    assert smirnov(boxes[0][:, 2], boxes[1][:, 2]) > 1.95


def test_area_is_uniform_aspect_log_uniform_and_place_uniform():
    height, width = 90_000, 110_000  # so large that rounding is nothing, and no try fails
    box = RandomResizedCrop(size=8, area=(0.08, 0.5)).boxes(sizes_of(height, width, 4000), draw_of(4000)).astype(float)
    top, left, h, w = box.T
    assert kolmogorov(h * w / (height * width), 0.08, 0.5) < 1.95
    assert kolmogorov(np.log(w / h), math.log(3 / 4), math.log(4 / 3)) < 1.95
    assert kolmogorov(w / h, 3 / 4, 4 / 3) > 1.95  # not uniform
    assert kolmogorov(top / (height - h), 0, 1) < 1.95
    assert kolmogorov(left / (width - w), 0, 1) < 1.95
    assert abs(np.corrcoef([h * w, w / h, top / (height - h), left / (width - w)]) - np.eye(4)).max() < 0.06


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    st.tuples(st.floats(0.001, 1.0), st.floats(0.001, 1.0)).map(sorted).map(tuple),
    st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)).map(sorted).map(tuple),
)
def test_every_box_lies_within_its_image(shape, area, aspect):
    sizes = sizes_of(*shape, 20)
    for crop in (RandomResizedCrop(size=8, area=area, aspect=aspect), CenterCrop(size=8, fraction=area[0])):
        boxes = crop.boxes(sizes, draw_of(20))
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] >= 1).all()
        assert (boxes[:, :2] + boxes[:, 2:] <= sizes).all()


def test_the_central_crop_of_a_ribbon():
    boxes = RandomResizedCrop(size=8).boxes(np.array([[12, 1000], [1000, 12]]), draw_of(2))
    assert boxes.tolist() == [[0, 492, 12, 16], [492, 0, 16, 12]]  # 4:3 and 3:4


def test_boxes_do_not_depend_on_the_batch():
    sizes = np.random.default_rng(0).integers(5, 500, (37, 2))
    crop = RandomResizedCrop(size=8)
    boxes = crop.boxes(sizes, draw_of(37))
    again = crop.boxes(sizes, draw_of(37))
    alone = [crop.boxes(sizes[i : i + 1], Draw(np.array([i]), 0))[0] for i in range(37)]
    assert np.array_equal(boxes, again)
    assert np.array_equal(boxes, alone)


def test_center_crop_is_resize_256_take_224():
    crop = CenterCrop(size=224)
    boxes = crop.boxes(np.array([[256, 320], [375, 500], [250, 333], [32, 32]]), draw_of(4))
    assert boxes.tolist() == [[16, 48, 224, 224], [24, 86, 328, 328], [16, 57, 219, 219], [2, 2, 28, 28]]
    image = photo(256, 320)  # already 256: nothing is resized
    assert np.array_equal(crop([image], boxes[:1])[0], image[16:240, 48:272] / np.float32(255))


def test_center_crop_of_a_larger_image_is_close_to_resizing_first():
    image = cv2.GaussianBlur(photo(512, 640), (0, 0), 6)
    crop = CenterCrop(size=224)
    once = crop([image], crop.boxes(np.array([[512, 640]]), draw_of(1)))[0]
    twice = cv2.resize(image, (320, 256), interpolation=cv2.INTER_CUBIC)[16:240, 48:272] / 255
    assert np.abs(once - twice).mean() < 0.004


def test_fraction_one_takes_the_whole_square():
    image = photo(32, 32)
    crop = CenterCrop(size=32, fraction=1.0)
    assert np.array_equal(crop([image], crop.boxes(sizes_of(32, 32, 1), draw_of(1)))[0], image / np.float32(255))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_resizing_equals_torch_to_eight_bits(mode, channels):
    images = [photo(61, 83, channels, seed) for seed in range(4)]
    boxes = np.array([[0, 0, 61, 83], [5, 7, 20, 31], [50, 60, 11, 9], [1, 2, 32, 32]])
    ours = cut(images, boxes, size=32, interpolation=mode)
    for image, (top, left, h, w), view in zip(images, boxes, ours, strict=True):
        box = torch.from_numpy(image[top : top + h, left : left + w].astype(np.float64) / 255).permute(2, 0, 1)
        theirs = F.interpolate(box[None], size=(32, 32), mode=mode, align_corners=False)[0].clamp(0, 1).permute(1, 2, 0)
        assert np.abs(view - theirs.numpy()).max() < 1.5 / 255


def test_area_is_the_mean_of_what_falls_in():
    image = photo(48, 64)
    view = cut([image], np.array([[0, 16, 48, 48]]), size=12, interpolation="area")[0]
    means = image[:, 16:].reshape(12, 4, 12, 4, 3).mean(axis=(1, 3)) / 255
    assert np.abs(view - means).max() <= 0.51 / 255


def test_a_cut_by_hand():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    view = cut([image], np.array([[1, 2, 2, 2]]), size=2, interpolation="bicubic")
    assert np.array_equal(view[0, :, :, 0], np.array([[6, 7], [10, 11]], dtype=np.float32) / 255)
    assert cut([image], np.array([[0, 0, 2, 2]]), size=1, interpolation="area")[0, 0, 0, 0] == np.float32(3) / 255  # 2.5


def test_bicubic_overshoot_is_clipped():
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, 4:] = 255
    view = cut([image], np.array([[0, 0, 8, 8]]), size=31, interpolation="bicubic")
    assert (view.min(), view.max()) == (0.0, 1.0)


def test_photos_of_any_size_and_memory():
    readonly = photo(20, 30)
    readonly.setflags(write=False)
    strided = photo(40, 60)[::2, ::2]
    boxes = np.array([[0, 0, 20, 30], [3, 4, 9, 5], [1, 1, 1, 1]])
    views = cut([readonly, strided, photo(2, 2)], boxes, size=7, interpolation="bicubic")
    assert views.shape == (3, 7, 7, 3)
    assert np.array_equal(views[1], cut([strided.copy()], boxes[1:2], size=7, interpolation="bicubic")[0])
    assert (views[2] == photo(2, 2)[1, 1] / np.float32(255)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"area": (1.0, 0.08)},
            r"^area: must be \(low, high\) with 0 < low <= high <= 1, is \(1, 0\.08\)\. Did you mean \(0\.08, 1\)\?$",
        ),
        ({"area": (0.5, 1.5)}, r"^area: .* is \(0\.5, 1\.5\)\.$"),
        ({"area": (0.0, 1.0)}, r"^area: .* is \(0, 1\)\.$"),
        ({"aspect": (4 / 3, 3 / 4)}, r"^aspect: .* with 0 < low <= high, is .* Did you mean \(0\.75, 1\.33333\)\?$"),
    ],
)
def test_bounds_in_the_wrong_order_or_range(parameters, message):
    with pytest.raises(UserError, match=message):
        RandomResizedCrop(size=8, **parameters)


def test_flip_by_hand_and_twice():
    images = np.random.default_rng(0).random((3, 4, 5, 2), dtype=np.float32)[..., :1].copy()
    flipped = HorizontalFlip()(images.copy(), draw_of(3))
    assert np.array_equal(flipped, images[:, :, ::-1])
    assert np.array_equal(HorizontalFlip()(flipped, draw_of(3)), images)
    row = np.array([1, 2, 3], dtype=np.float32).reshape(1, 1, 3, 1) / 4
    assert HorizontalFlip()(row, draw_of(1)).ravel().tolist() == [0.75, 0.5, 0.25]
