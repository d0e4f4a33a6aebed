"""Crops and the flip: where boxes lie, and what resizing and mirroring give."""

import math
from functools import partial

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


def tensorflow_by_hand(height, width, draw, area, aspect):
    """One box, as the kernel of sample_distorted_bounding_box says it, from the draws of one sample."""
    down, right, *numbers = draw.uniform(size=2 + 2 * 100)[0].tolist()
    least, most = area[0] * (height * width), area[1] * (height * width)
    for attempt in range(100):
        ratio, unit = aspect[0] + (aspect[1] - aspect[0]) * numbers[2 * attempt], numbers[2 * attempt + 1]
        h = round(math.sqrt(least / ratio))
        highest = round(math.sqrt(most / ratio))
        if round(highest * ratio) > width:
            highest = int((width + 0.5 - 0.0000001) / ratio)
            if round(highest * ratio) > width:
                highest -= 1
        highest = min(highest, height)
        if h >= highest:
            h = highest
        else:
            h += int(unit * (highest - h + 1))
        w = round(h * ratio)
        if h * w < least:
            h += 1
            w = round(h * ratio)
        if h * w > most:
            h -= 1
            w = round(h * ratio)
        if h * w < least or h * w > most or w > width or h > height or w <= 0 or h <= 0:
            continue
        if h * w / (height * width) >= 0.1:
            top = int(down * (height - h)) if h < height else 0
            left = int(right * (width - w)) if w < width else 0
            return top, left, h, w
    return 0, 0, height, width


@pytest.mark.parametrize(
    ("area", "aspect"),
    [
        ((0.08, 1.0), (3 / 4, 4 / 3)),
        ((0.9, 1.0), (0.5, 2.0)),
        ((0.05, 0.14), (1.0, 1.0)),
        ((0.2, 0.6), (1.25, 1.25)),  # 1.25 h is often half a pixel
        ((1.0, 1.0), (0.5, 2.5)),
        ((0.01, 0.9), (0.1, 10.0)),
    ],
)
def test_boxes_are_tensorflows_law_word_by_word(area, aspect):
    rng = np.random.default_rng(2)
    side = rng.integers(2, 300, (15, 1))
    oblong = [np.hstack([side, 8 * side]), np.hstack([8 * side, side]), np.hstack([side, 20 * side])]
    some = [rng.integers(low, high, (n, 2)) for low, high, n in ((1, 7, 80), (7, 400, 100), (400, 9000, 25))]
    shapes = np.concatenate([*some, *oblong, sizes_of(17, 12, 10)])  # at 1.25 ten rows are 12.5 columns, and 12 are enough
    draw = Draw(np.arange(len(shapes)), 0, "crop")
    boxes = RandomResizedCrop(size=8, area=area, aspect=aspect, law="tensorflow").boxes(shapes, draw)
    alone = [Draw(np.array([i]), 0, "crop") for i in range(len(shapes))]
    by_hand = [tensorflow_by_hand(h, w, draw, area, aspect) for (h, w), draw in zip(shapes.tolist(), alone, strict=True)]
    assert boxes.tolist() == [list(box) for box in by_hand]


def test_the_hundredth_try_is_the_last():
    area, aspect = (0.5, 1.0), (1.0, 60.0)  # one try in about a hundred fits
    crop = RandomResizedCrop(size=8, area=area, aspect=aspect, law="tensorflow")
    boxes = crop.boxes(sizes_of(30, 30, 800), draw_of(800))
    assert boxes.tolist() == [list(tensorflow_by_hand(30, 30, Draw(np.array([i]), 0), area, aspect)) for i in range(800)]
    assert 0.2 < (boxes[:, 2:] == 30).all(axis=1).mean() < 0.6


# How often TensorFlow 2.21.0 gave a box of this (height, width) for an image of (5, 8) at the official code's settings:
# tf.image.stateless_sample_distorted_bounding_box with 400,000 seeds.
TENSORFLOWS = {
    (2, 2): 85216, (2, 3): 14432, (3, 2): 14343, (3, 3): 56941, (3, 4): 28982, (4, 3): 21453,
    (4, 4): 43016, (4, 5): 35616, (5, 4): 25676, (5, 5): 34243, (5, 6): 34306, (5, 7): 5776,
}  # fmt: skip


def chi_squared(boxes):
    """Of the sizes of our boxes against TensorFlow's; with their 11 degrees of freedom above 31.3 with probability 0.001."""
    theirs = np.array(list(TENSORFLOWS.values()))
    ours = np.array([(boxes[:, 2:] == size).all(axis=1).sum() for size in TENSORFLOWS])
    more = math.sqrt(theirs.sum() / len(boxes))
    return ((ours * more - theirs / more) ** 2 / (ours + theirs)).sum()


def test_boxes_of_a_tiny_image_are_as_frequent_as_tensorflows():
    sizes = sizes_of(5, 8, 100_000)
    boxes = RandomResizedCrop(size=8, law="tensorflow").boxes(sizes, draw_of(100_000))
    assert set(map(tuple, boxes[:, 2:].tolist())) == set(TENSORFLOWS)
    assert chi_squared(boxes) < 31.3
    assert chi_squared(RandomResizedCrop(size=8, law="torchvision").boxes(sizes, draw_of(100_000))) > 31.3
    nearly = RandomResizedCrop(size=8, law="tensorflow", aspect=(0.77, 4 / 3)).boxes(sizes, draw_of(100_000))
    assert chi_squared(nearly) > 31.3


def test_tensorflows_aspect_height_and_place_are_uniform():
    height, width = 90_000, 110_000  # so large that rounding is nothing; from 0.2 on no try fails
    boxes = RandomResizedCrop(size=8, area=(0.2, 1.0), law="tensorflow").boxes(sizes_of(height, width, 4000), draw_of(4000))
    top, left, h, w = boxes.T.astype(float)
    ratio = w / h
    assert kolmogorov(ratio, 3 / 4, 4 / 3) < 1.95
    assert kolmogorov(np.log(ratio), math.log(3 / 4), math.log(4 / 3)) > 1.95  # not log-uniform
    lowest, highest = np.sqrt(0.2 * height * width / ratio), np.minimum(height, width / ratio)
    place = [(h - lowest) / (highest - lowest), top / (height - h), left / (width - w)]
    for unit in place:
        assert kolmogorov(unit, 0, 1) < 1.95
    assert kolmogorov(h * w / (height * width), 0.2, 1.0) > 1.95  # the area is not
    assert abs(np.corrcoef([ratio, *place]) - np.eye(4)).max() < 0.06


@pytest.mark.parametrize(("height", "width"), [(32, 32), (28, 28), (375, 500), (40, 100)])
def test_no_box_of_tensorflows_is_under_a_tenth(height, width):
    boxes = RandomResizedCrop(size=8, law="tensorflow").boxes(sizes_of(height, width, 5000), draw_of(5000))
    shares = boxes[:, 2:].prod(axis=1) / (height * width)
    assert shares.min() >= 0.1
    assert shares.min() < 0.11
    assert shares.max() <= 1.0


def test_tensorflows_boxes_never_touch_the_lower_or_right_edge():
    top, left, h, w = RandomResizedCrop(size=8, law="tensorflow").boxes(sizes_of(12, 12, 5000), draw_of(5000)).T
    for start, side in ((top, h), (left, w)):
        assert (start[side == 12] == 0).all()
        assert start.min() == 0
        assert (start + side)[side < 12].max() == 11


def test_mean_area_is_as_the_integral_says_and_under_torchvisions():
    ratio = np.linspace(3 / 4, 4 / 3, 10_001)
    least, lowest, highest = np.sqrt(0.08 / ratio), np.sqrt(0.1 / ratio), np.minimum(1, 1 / ratio)  # heights in a unit square
    taken = (highest - lowest) / (highest - least)
    area = ratio * (highest**3 - lowest**3) / (highest - lowest) / 3
    expected = (taken * area).sum() / taken.sum()
    sizes = sizes_of(10_000, 10_000, 10_000)
    shares = {
        law: RandomResizedCrop(size=8, law=law).boxes(sizes, draw_of(10_000))[:, 2:].prod(axis=1) / 1e8
        for law in ("tensorflow", "torchvision")
    }
    assert abs(shares["tensorflow"].mean() - expected) < 4 * shares["tensorflow"].std() / 100
    assert shares["tensorflow"].mean() < shares["torchvision"].mean() - 0.03


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
    crops = [
        RandomResizedCrop(size=8, area=area, aspect=aspect),
        RandomResizedCrop(size=8, area=(area[0], max(area[1], 0.11)), aspect=aspect, law="tensorflow"),
        CenterCrop(size=8, fraction=area[0]),
    ]
    for crop in crops:
        boxes = crop.boxes(sizes, draw_of(20))
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] >= 1).all()
        assert (boxes[:, :2] + boxes[:, 2:] <= sizes).all()


def test_the_central_crop_of_a_ribbon():
    boxes = RandomResizedCrop(size=8).boxes(np.array([[12, 1000], [1000, 12]]), draw_of(2))
    assert boxes.tolist() == [[0, 492, 12, 16], [492, 0, 16, 12]]  # 4:3 and 3:4


def test_tensorflow_takes_the_whole_of_a_ribbon():
    sizes = np.array([[12, 1000], [1000, 12], [1, 20], [1, 1]])  # at 4:3 a ribbon's largest box is under a tenth of it
    boxes = RandomResizedCrop(size=8, law="tensorflow").boxes(sizes, draw_of(4))
    assert boxes.tolist() == [[0, 0, 12, 1000], [0, 0, 1000, 12], [0, 0, 1, 20], [0, 0, 1, 1]]


def test_boxes_of_one_shape_by_hand():
    crop = RandomResizedCrop(size=8, area=(0.25, 0.25), aspect=(1.0, 1.0), law="tensorflow")
    boxes = crop.boxes(sizes_of(4, 4, 400), draw_of(400))
    assert set(map(tuple, boxes.tolist())) == {(top, left, 2, 2) for top in (0, 1) for left in (0, 1)}
    # a fifth of 4 x 4 is 3.2 pixels: a square of 2 x 2 = 4 has too many, of 1 x 1 too few, so the whole image
    crop = RandomResizedCrop(size=8, area=(0.2, 0.21), aspect=(1.0, 1.0), law="tensorflow")
    assert crop.boxes(sizes_of(4, 4, 1), draw_of(1)).tolist() == [[0, 0, 4, 4]]
    # the lowest height, sqrt(9.6 / 0.31) = 5.6, is over the image's 5, at which 2 columns still hold 10 of the 9.6 pixels
    crop = RandomResizedCrop(size=8, area=(0.64, 1.0), aspect=(0.31, 0.31), law="tensorflow")
    assert crop.boxes(sizes_of(5, 3, 1), draw_of(1)).tolist() == [[0, 0, 5, 2]]


@pytest.mark.parametrize("law", ["torchvision", "tensorflow"])
def test_boxes_do_not_depend_on_the_batch(law):
    sizes = np.random.default_rng(0).integers(5, 500, (37, 2))
    sizes[:9] = [[20, 170], [170, 20], [20, 1000]] * 3  # of few tries that fit, or none
    crop = RandomResizedCrop(size=8, law=law)
    boxes = crop.boxes(sizes, draw_of(37))
    again = crop.boxes(sizes, draw_of(37))
    alone = [crop.boxes(sizes[i : i + 1], Draw(np.array([i]), 0))[0] for i in range(37)]
    assert np.array_equal(boxes, again)
    assert np.array_equal(boxes, alone)
    backwards = crop.boxes(sizes[::-1], Draw(np.arange(37)[::-1], 0))
    assert np.array_equal(boxes, backwards[::-1])
    assert crop.boxes(sizes[:0], draw_of(0)).shape == (0, 4)


def test_center_crop_is_resize_256_take_224():
    crop = CenterCrop(size=224)
    boxes = crop.boxes(np.array([[256, 320], [375, 500], [250, 333], [32, 32]]), draw_of(4))
    assert boxes.tolist() == [[16, 48, 224, 224], [24, 86, 328, 328], [16, 57, 219, 219], [2, 2, 28, 28]]
    image = photo(256, 320)  # already 256: nothing is resized
    assert np.array_equal(crop([image], boxes[:1])[0], image[16:240, 48:272] / np.float32(255))


resize_and_take = pytest.mark.parametrize(
    ("resize", "size"), [(256, 224), (232, 224), (292, 256), (146, 128), (72, 64), (36, 32), (96, 64), (48, 48)]
)


@resize_and_take
def test_fraction_is_what_is_taken_over_what_is_resized_to(resize, size):
    shapes = np.random.default_rng(resize).integers(resize // 2, 5 * resize, (300, 2))
    shapes[0] = resize, 2 * resize + 1
    boxes = CenterCrop(size=size, fraction=size / resize).boxes(shapes, draw_of(300))
    assert boxes[0].tolist() == [(resize - size + 1) // 2, (2 * resize + 2 - size) // 2, size, size]  # nothing is resized
    assert (boxes[:, 2] == boxes[:, 3]).all()
    pixel = resize / shapes.min(axis=1)  # side of an original pixel after resizing the shorter side
    assert (np.abs(boxes[:, 2] * pixel - size) <= 0.5 * pixel + 1e-9).all()
    assert (np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - shapes / 2) <= 0.5).all()


@resize_and_take
def test_center_crop_of_a_larger_image_is_close_to_resizing_first(resize, size):
    image = cv2.GaussianBlur(photo(2 * resize, 3 * resize), (0, 0), 6)
    crop = CenterCrop(size=size, fraction=size / resize)
    once = crop([image], crop.boxes(np.array([[2 * resize, 3 * resize]]), draw_of(1)))[0]
    first = cv2.resize(image, (3 * resize // 2, resize), interpolation=cv2.INTER_CUBIC)
    top, left = (resize - size) // 2, (3 * resize // 2 - size) // 2
    assert np.abs(once - first[top : top + size, left : left + size] / 255).mean() < 0.004


@pytest.mark.parametrize(
    "crop_of",
    [RandomResizedCrop, partial(RandomResizedCrop, law="tensorflow"), CenterCrop],
    ids=["torchvision", "tensorflow", "center"],
)
def test_every_crop_has_three_interpolations(crop_of):
    image = photo(90, 120)
    views = {}
    for interpolation in ("bilinear", "bicubic", "area"):
        crop = crop_of(size=20, interpolation=interpolation)
        boxes = crop.boxes(sizes_of(90, 120, 1), draw_of(1))
        views[interpolation] = crop([image], boxes)
        assert np.array_equal(views[interpolation], cut([image], boxes, size=20, interpolation=interpolation))
    assert len({view.tobytes() for view in views.values()}) == 3
    assert np.array_equal(crop_of(size=20)([image], boxes), views["bicubic"])


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
        (
            {"area": (0.05, 0.1), "law": "tensorflow"},
            r"^area: must reach above 0\.1 with law = \"tensorflow\".* is \(0\.05, 0\.1\)\. Did you mean law = \"torchvision\"\?$",
        ),
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
