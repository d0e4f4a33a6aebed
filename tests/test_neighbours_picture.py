"""Neighbours as a picture: which images are shown, in which order, in which frames, and what is refused."""

import math

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from sslkit import grid
from sslkit.errors import DataError
from sslkit.evaluations import blocks, registry
from sslkit.evaluations.classes import classes_of, first_classes, named
from sslkit.evaluations.features import Features
from sslkit.evaluations.neighbours_picture import FRAME, OTHER, SAME, SIDE, UNKNOWN, NeighboursPicture, neighbours_of, queries

CELL = SIDE + 2 * FRAME
GREY = (238, 238, 238)


def features(h, labels=None, *, split="test", classes=None):
    return Features(np.asarray(h, np.float32), None if labels is None else np.asarray(labels, np.int64), classes, split)


def normal(n, d=6, *, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


class Images:
    """A colour an image: red tells the split, green the row."""

    train_labels = test_labels = classes = None
    size = 4
    height = 10

    def train_batches(self, epoch, batch_size):
        raise NotImplementedError

    train_views = test_batches = test_pairs = last = before_last = train_batches

    def train_image(self, row):
        return np.full((self.height, 10, 3), (200, 10 * row, 0), np.uint8)

    def test_image(self, row):
        return np.full((self.height, 10, 3), (100, 10 * row, 0), np.uint8)


def picture(folder, train, test, *, images=None, seed=0, **parameters):
    assert NeighboursPicture(**parameters)(train, test, images or Images(), folder, seed) == []
    assert [path.name for path in folder.iterdir()] == ["neighbours.png"]
    with Image.open(folder / "neighbours.png") as file:
        return np.asarray(file)


def cells(pixels, *, columns):
    """The frame and the middle of each cell whose captions take one line."""
    top, across = grid._LINE + 2 * grid._GAP, CELL + grid._GAP
    assert pixels.shape[1] == columns * across + grid._GAP
    down = CELL + grid._LINE + 4 + grid._GAP
    rows = range(top, pixels.shape[0] - CELL, down)
    lefts = range(grid._GAP, pixels.shape[1] - CELL, across)
    return [
        [(tuple(pixels[y + 1, x + 1]), tuple(pixels[y + CELL // 2, x + CELL // 2])) for x in lefts]
        for y in rows
        if y + CELL < pixels.shape[0]
    ]


def test_by_hand(tmp_path):
    """Two queries, of classes 0 and 1; each has a neighbour at 0, one at 45 and one at 90 degrees."""
    train = features([[0, 2], [5, 0], [1, 1]], [1, 0, 1], split="train", classes=("a", "b"))
    test = features([[0, 1], [3, 0]], [1, 0], classes=("a", "b"))
    assert cells(picture(tmp_path, train, test), columns=4) == [
        [(UNKNOWN, (100, 10, 0)), (SAME, (200, 10, 0)), (OTHER, (200, 20, 0)), (OTHER, (200, 0, 0))],
        [(UNKNOWN, (100, 0, 0)), (SAME, (200, 0, 0)), (SAME, (200, 20, 0)), (OTHER, (200, 10, 0))],
    ]


def test_a_frame_goes_all_around(tmp_path):
    train = features([[1, 0]], [0], split="train")
    pixels = picture(tmp_path, train, features([[1, 0]], [0]), k=1)
    frame = (pixels == SAME).all(axis=2)
    assert frame.sum() == CELL**2 - SIDE**2
    y, x = (np.flatnonzero(frame.any(axis=axis)) for axis in (1, 0))
    assert len(y) == len(x) == y[-1] - y[0] + 1 == x[-1] - x[0] + 1 == CELL


def test_an_image_keeps_its_shape_on_a_square(tmp_path):
    images = Images()
    images.height = 5
    train, test = features([[1, 0]], split="train"), features([[1, 0]])
    top = grid._LINE + 2 * grid._GAP
    pixels = picture(tmp_path, train, test, images=images)[top : top + CELL]  # without the text
    assert ((pixels == (100, 0, 0)).all(axis=2).sum(), (pixels == GREY).all(axis=2).sum()) == (SIDE**2 // 2, SIDE**2)


@pytest.mark.parametrize("labelled", [(), ("train",), ("test",)])
def test_without_labels_of_both_there_are_no_frames(tmp_path, labelled):
    train, test = (features(normal(4), [0, 1, 0, 1] if name in labelled else None, split=name) for name in ("train", "test"))
    for row in cells(picture(tmp_path, train, test), columns=5):
        assert [frame for frame, _ in row] == [UNKNOWN] * 5


def test_labels_that_say_nothing_have_no_frame(tmp_path):
    train = features([[1, 0], [1, 1], [0, 1]], [-1, 0, 1], split="train")
    (row,) = cells(picture(tmp_path, train, features([[1, 0]], [0])), columns=4)
    assert [frame for frame, _ in row] == [UNKNOWN, UNKNOWN, SAME, OTHER]


def test_of_several_classes_one_in_common_is_enough(tmp_path):
    train = features([[1, 0], [1, 1], [0, 1]], [[1, 0, 1], [0, 1, -1], [0, 0, 0]], split="train")
    (row,) = cells(picture(tmp_path, train, features([[1, 0]], [[0, 0, 1]])), columns=4)
    assert [frame for frame, _ in row] == [UNKNOWN, SAME, OTHER, UNKNOWN]


def test_an_image_is_not_its_own_neighbour(tmp_path):
    one = features([[1, 0], [1, 0.1], [0, 1]])
    shown = cells(picture(tmp_path, one, one, num_queries=3), columns=3)
    assert len(shown) == 3
    for row in shown:
        assert row[0][1][1] not in [middle[1] for _, middle in row[1:]]
    few = one.rows(np.array([2, 0]))  # as labels_per_class leaves them
    similarities, rows = neighbours_of(one.rows(np.array([0])), few, 5)
    assert rows.tolist() == [[0]]
    assert similarities.tolist() == [[0.0]]


def test_fewer_images_than_asked(tmp_path):
    assert len(cells(picture(tmp_path, features(normal(3), split="train"), features(normal(2))), columns=4)) == 2


def test_same_bits_twice_and_another_seed_shows_others(tmp_path):
    train, test = features(normal(20), split="train"), features(normal(24, seed=1))
    first = picture(tmp_path, train, test, num_queries=3)
    bits = (tmp_path / "neighbours.png").read_bytes()
    picture(tmp_path, train, test, num_queries=3)
    assert (tmp_path / "neighbours.png").read_bytes() == bits
    assert not np.array_equal(picture(tmp_path, train, test, num_queries=3, seed=1), first)


def test_one_of_each_class_before_a_second_of_any():
    labels = np.repeat([3, 0, 2, -1], [50, 2, 20, 1])
    test = features(normal(73), labels)
    for seed in range(5):
        for number, counts in ((4, [1, 1, 0, 1, 1]), (7, [1, 2, 0, 2, 2]), (9, [1, 2, 0, 3, 3])):
            rows = queries(test, number, seed)
            assert np.bincount(labels[rows] + 1).tolist() == counts
            assert labels[rows].tolist() == sorted(labels[rows])
            assert len(set(rows.tolist())) == number
    assert queries(test, 4, 0).tolist() != queries(test, 4, 1).tolist()
    assert len({int(label) for seed in range(20) for label in labels[queries(test, 1, seed)]}) > 1, "not always the first class"
    assert queries(features(normal(73)), 5, 0).tolist() == sorted(queries(features(normal(73)), 5, 0))
    assert sorted(queries(test, 1000, 0)) == list(range(73))


def literal_nearest(bank, query, k):
    def cosine(a, b):
        norms = math.sqrt(a @ a) * math.sqrt(b @ b)
        return float(a @ b) / norms if norms else 0.0

    found = [(-cosine(query.astype(np.float64), row), i) for i, row in enumerate(bank.astype(np.float64))]
    return [i for _, i in sorted(found)[:k]], [-s for s, _ in sorted(found)[:k]]


@pytest.mark.parametrize("rows", [2048, 7])
def test_neighbours_equal_the_formula_image_by_image(monkeypatch, rows):
    monkeypatch.setattr(blocks, "_NUMBERS", 6 * rows)
    bank, wanted = normal(60), normal(5, seed=1)
    bank[::9] = 0
    similarities, found = neighbours_of(features(wanted), features(bank, split="train"), 12)
    for query, near, one in zip(wanted, similarities, found, strict=True):
        expected, cosines = literal_nearest(bank, query, 12)
        assert one.tolist() == expected
        assert near == pytest.approx(cosines)


@pytest.mark.parametrize("rows", [2048, 7])
def test_of_equally_near_images_the_earlier_come_first(monkeypatch, rows):
    monkeypatch.setattr(blocks, "_NUMBERS", 6 * rows)
    bank = np.repeat(normal(3), 20, axis=0)
    _, found = neighbours_of(features(bank[20:21]), features(bank, split="train"), 25)
    assert found[0, :20].tolist() == list(range(20, 40))


def test_what_is_refused(tmp_path):
    train, test = features(normal(4), split="train"), features(normal(4))
    wrong = features([[np.nan] * 6])
    for one, other, says in (
        (features(normal(0), split="train"), test, "the split 'train' has no images, and 'neighbours_picture' draws some"),
        (train, features(normal(0)), "the split 'test' has no images"),
        (wrong, test, "1 of the 1 rows of features of the split 'test' are not finite, and 'neighbours_picture' can't"),
        (train, wrong, "are not finite"),
        (
            features(normal(2), [0, 1], split="train", classes=("a", "b")),
            features(normal(2), [0, 1], classes=("b", "a")),
            r"'train' and 'test' have different classes \(in another order: a, b and b, a\), and 'neighbours_picture' needs the same",
        ),
    ):
        with pytest.raises(DataError, match=says):
            NeighboursPicture()(one, other, Images(), tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_side():
    model = registry.model("neighbours_picture")
    assert (model().k, model().num_queries) == (8, 10)
    for wrong in [{"k": 0}, {"num_queries": 0}]:
        with pytest.raises(ValidationError):
            model(**wrong)


def test_classes_in_words():
    several = features(normal(3), [[0, 1, 1], [0, -1, 0], [-1, 0, 1]])
    assert [classes_of(several, row) for row in range(3)] == [{1, 2}, set(), {2}]
    assert first_classes(several).tolist() == [1, -1, 2]
    assert first_classes(features(normal(3), [2, -5, 0])).tolist() == [2, -1, 0]
    assert first_classes(features(normal(2))).tolist() == [-1, -1]
    assert named({2, 0}, ("hat", "coat")) == "hat, class 2"
    assert named([1], None) == "class 1"


def test_text_stays_within_its_width():
    """Broken behind commas, else at spaces; a word that is too long is shortened."""
    for text in ("0.93, American Staffordshire terrier", "0.93, Donaudampfschifffahrtsgesellschaft", "a, b"):
        lines = grid._wrapped(text, CELL)
        assert all(grid._font().getlength(line) <= CELL for line in lines)
        assert lines[0].startswith(text[:1])
    assert grid._wrapped("0.93, American Staffordshire terrier", CELL) == ["0.93", "American", "Staffordshire terrier"]
    assert grid._wrapped("a, b", CELL) == ["a, b"]
    assert grid._wrapped("0.93, Donaudampfschifffahrtsgesellschaft", CELL)[1].endswith("...")
    assert grid._wrapped("", CELL) == []
