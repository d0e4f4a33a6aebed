"""The health of a representation: five numbers equal their formulas, and a collapse shows in each."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.integrate import quad
from torch import nn

from sslkit.errors import DataError, NonFiniteError, UserError
from sslkit.evaluations import blocks, health, registry
from sslkit.evaluations.features import Features
from sslkit.evaluations.health import Health, alignment
from sslkit.evaluations.spectrum import rankme, singular_values
from sslkit.evaluations.spread import dead_dimensions, feature_std, uniformity


def every(h):
    return np.arange(len(h), dtype=np.int64)


def normal(n, d, *, seed=0, mean=0.0):
    return (np.random.default_rng(seed).standard_normal((n, d)) + mean).astype(np.float32)


def on_the_sphere(n, d, *, seed=0):
    h = np.random.default_rng(seed).standard_normal((n, d))
    return (h / np.linalg.norm(h, axis=1, keepdims=True)).astype(np.float32)


def rectified(n, d, *, seed=0):
    """As features behind a ReLU are: none negative, some dimensions rarely or never above zero."""
    return np.maximum(normal(n, d, seed=seed) - np.linspace(-2, 5, d, dtype=np.float32), 0)


def low_rank(n, d, *, seed=0):
    return normal(n, 2, seed=seed) @ normal(2, d, seed=seed + 1)


def with_zero_rows(n, d):
    h = normal(n, d, mean=1.0)
    h[::3] = 0
    return h


def literal_rankme(h):
    s = np.linalg.svd(h.astype(np.float64), compute_uv=False)
    p = [one / sum(s) + 1e-7 for one in s]
    return math.exp(-sum(one * math.log(one) for one in p))


def literal_directions(h):
    rows = h.astype(np.float64).tolist()
    norms = [math.sqrt(sum(one * one for one in row)) for row in rows]
    return [[one / norm if norm else 0.0 for one in row] for row, norm in zip(rows, norms, strict=True)]


def squared_distance(a, b):
    return sum((one - other) ** 2 for one, other in zip(a, b, strict=True))


def literal_uniformity(h):
    u = literal_directions(h)
    near = [math.exp(-2 * squared_distance(u[i], u[j])) for i in range(len(u)) for j in range(i)]
    return math.log(sum(near) / len(near))


def literal_std(columns):
    means = [sum(column) / len(column) for column in columns]
    return [
        math.sqrt(sum((one - mean) ** 2 for one in column) / len(column)) for column, mean in zip(columns, means, strict=True)
    ]


def literal_dead(h, *, below):
    size = math.sqrt(sum(one * one for one in h.astype(np.float64).ravel().tolist()) / h.size)
    return sum(std <= below * size for std in literal_std(h.astype(np.float64).T.tolist())) / h.shape[1]


def literal_feature_std(h):
    std = literal_std(np.array(literal_directions(h)).T.tolist())
    return math.sqrt(len(std)) * sum(std) / len(std)


class Images:
    """Two views of each image of a split, made beforehand."""

    train_labels = test_labels = classes = None
    size = 4

    def __init__(self, views):
        self.views = views
        self.asked = []

    def train_batches(self, epoch, batch_size):
        raise NotImplementedError

    train_views = test_batches = train_image = test_image = last = before_last = train_batches

    def test_pairs(self, rows, batch_size):
        self.asked.append(rows.tolist())
        for first in range(0, len(rows), batch_size):
            yield tuple(torch.from_numpy(view[rows[first : first + batch_size]]) for view in self.views)


def images(n, *, seed=0, apart=0.3):
    x = np.random.default_rng(seed).random((n, 3, 4, 4)).astype(np.float32)
    return Images([x, x + apart * np.random.default_rng(seed + 1).random(x.shape).astype(np.float32)])


def found(h, *, pairs=None, seed=0, **parameters):
    test = Features(h, None, None, "test")
    pairs = dict(Health(**parameters)(test, nn.Flatten().eval(), pairs or images(len(h)), seed))
    assert all(name.startswith("health_") for name in pairs)
    return {name.removeprefix("health_"): value for name, value in pairs.items()}


SHAPES = [(40, 6), (6, 40), (1, 5), (7, 1)]
KINDS = [normal, rectified, low_rank, with_zero_rows, lambda n, d: normal(n, d, mean=30.0)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rank_equals_the_formula_on_a_singular_value_decomposition(kind, shape):
    h = kind(*shape)
    assert rankme(singular_values(h, every(h))) == pytest.approx(literal_rankme(h) if h.any() else 0, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_spread_equals_the_formulas_written_out(kind, shape):
    h = kind(*shape)
    assert feature_std(h) == pytest.approx(literal_feature_std(h), rel=1e-9, abs=1e-9)
    for below in (0.0, 0.01, 0.3):
        assert dead_dimensions(h, below=below) == literal_dead(h, below=below)
    if len(h) > 1:
        assert uniformity(h, every(h)) == pytest.approx(literal_uniformity(h), abs=1e-9)


def test_alignment_equals_the_formula_written_out():
    pairs, encoder = images(600), nn.Flatten().eval()
    u1, u2 = (literal_directions(view.reshape(600, -1)) for view in pairs.views)
    expected = sum(map(squared_distance, u1, u2)) / 600
    assert alignment(encoder, pairs.test_pairs(np.arange(600), 256)) == pytest.approx(expected, rel=1e-9)
    assert alignment(encoder, Images([view[:1] for view in pairs.views]).test_pairs(np.arange(1), 256)) > 0


def test_by_hand():
    """Singular values 3 and 1; two directions at a right angle, two opposite ones; a dimension that moves a little."""
    assert rankme(np.array([3.0, 1.0])) == pytest.approx(4 / 27**0.25, abs=1e-5)  # p = 3/4, 1/4
    assert rankme(singular_values(np.array([[3, 0], [0, 1]], np.float32), np.arange(2))) == pytest.approx(1.7548, abs=1e-4)
    assert uniformity(np.array([[5, 0], [0, 2]], np.float32), np.arange(2)) == pytest.approx(-4.0)
    assert uniformity(np.array([[5, 0], [-2, 0]], np.float32), np.arange(2)) == pytest.approx(-8.0)
    assert feature_std(np.array([[5, 0], [-2, 0]], np.float32)) == pytest.approx(math.sqrt(2) * (1 + 0) / 2)
    h = np.array([[1, 0.01], [-1, -0.01]], np.float32)  # root mean square 0.707
    assert [dead_dimensions(h, below=below) for below in (0.01, 0.02)] == [0.0, 0.5]
    one, other = (torch.tensor(view)[:, :, None, None] for view in ([[1.0, 0.0], [2.0, 0.0]], [[0.0, 3.0], [-1.0, 0.0]]))
    assert alignment(nn.Flatten().eval(), iter([(one, other)])) == pytest.approx((2 + 4) / 2)


def test_features_that_are_orthonormal_have_full_rank_and_one_direction_has_rank_one():
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 20)))[0].astype(np.float32)
    assert rankme(singular_values(q, every(q))) == pytest.approx(20, abs=1e-3)
    assert rankme(singular_values(q.T.copy(), every(q.T))) == pytest.approx(20, abs=1e-3)
    line = normal(50, 1) * normal(1, 20)
    assert rankme(singular_values(line, every(line))) == pytest.approx(1, abs=1e-3)


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_neither_scale_nor_rotation_matters_to_the_rank_nor_length_to_directions(seed, scale):
    h = normal(30, 5, seed=seed, mean=0.5)
    turned = (scale * h @ np.linalg.qr(normal(5, 5, seed=seed + 1))[0]).astype(np.float32)
    before, after = (rankme(singular_values(one, every(h))) for one in (h, turned))
    assert after == pytest.approx(before, rel=1e-5)
    assert 1 <= before <= 5.001
    longer = h * np.random.default_rng(seed).uniform(0.5, 2, (30, 1)).astype(np.float32) * np.float32(scale)
    assert uniformity(longer, every(h)) == pytest.approx(uniformity(h, every(h)), abs=1e-5)
    assert feature_std(longer) == pytest.approx(feature_std(h), abs=1e-5)
    assert dead_dimensions(np.float32(scale) * h, below=0.9) == dead_dimensions(h, below=0.9)


@pytest.mark.parametrize("d", [2, 3, 8, 64])
def test_directions_drawn_evenly_have_the_uniformity_of_the_sphere(d):
    """The cosine t of two directions has density (1 - t^2)^((d - 3) / 2), and their squared distance is 2 - 2 t."""

    def over_angles(value):  # t = cos(a)
        return quad(lambda a: value(math.cos(a)) * math.sin(a) ** (d - 2), 0, math.pi)[0]

    expected = math.log(over_angles(lambda t: math.exp(-4 + 4 * t)) / over_angles(lambda _: 1.0))
    h = on_the_sphere(3000, d)
    assert uniformity(h, every(h)) == pytest.approx(expected, abs=0.01)
    assert feature_std(h) == pytest.approx(1, abs=0.02)
    if d == 64:
        assert expected == pytest.approx(-4, abs=0.15)


def test_a_collapse_shows_in_every_number():
    n = 300
    same = np.tile(rectified(1, 32), (n, 1))
    x = np.ones((n, 3, 4, 4), np.float32)
    collapsed = {"rankme": 1.0, "dead_dimensions": 1.0, "uniformity": 0.0, "alignment": 0.0, "feature_std": 0.0}
    assert found(same, pairs=Images([x, x])) == pytest.approx(collapsed, abs=1e-4)
    noise = same * (1 + 1e-6 * normal(n, 32))  # what a batch of another size does to the same images
    assert found(noise, pairs=Images([x, x])) == pytest.approx(collapsed, abs=1e-3)
    assert found(np.zeros((n, 32), np.float32), pairs=Images([x, x])) == pytest.approx({**collapsed, "rankme": 0}, abs=1e-9)
    healthy = found(normal(n, 32), pairs=images(n, apart=0.1))
    assert healthy["rankme"] > 30
    assert healthy["dead_dimensions"] == 0
    assert healthy["uniformity"] < -3
    assert 0 < healthy["alignment"] < 0.1
    assert healthy["feature_std"] > 0.98


def test_two_images_are_enough():
    assert set(found(normal(2, 4))) == {"rankme", "dead_dimensions", "uniformity", "alignment", "feature_std"}


def test_few_rows_and_columns_at_a_time_give_the_same(monkeypatch):
    wide, tall = normal(50, 90, mean=1.0), normal(90, 50, mean=1.0)
    for h in (wide, tall):
        whole = found(h, num_sampled=40)
        for name, value in (("_ROWS", 7), ("_COLUMNS", 11), ("_BYTES", 8 * 90 * 3)):
            monkeypatch.setattr(blocks, name, value)
        assert found(h, num_sampled=40) == pytest.approx(whole, rel=1e-12)
        monkeypatch.undo()


def test_same_bits_twice():
    h = rectified(500, 20)
    assert found(h, num_sampled=100) == found(h, num_sampled=100)


def test_a_sample_depends_on_the_seed_alone_and_is_about_right():
    h = on_the_sphere(4000, 8)
    pairs = images(4000)
    drawn = [found(h, pairs=pairs, seed=seed, num_sampled=1000) for seed in (0, 0, 1)]
    assert pairs.asked[0] == pairs.asked[1] == sorted(set(pairs.asked[0]))
    assert len(pairs.asked[0]) == 1000
    assert pairs.asked[0] != pairs.asked[2]
    whole = found(h, pairs=pairs)
    assert pairs.asked[3] == list(range(4000))
    for one in drawn:
        assert one["uniformity"] == pytest.approx(whole["uniformity"], abs=0.02)
        assert one["uniformity"] != whole["uniformity"]
        assert one["rankme"] == whole["rankme"], "all rows count there"


def test_the_rank_of_many_wide_features_is_that_of_the_sample(monkeypatch):
    h = normal(60, 50)
    monkeypatch.setattr(health, "_WIDEST", 49)
    pairs = images(60)
    rank = found(h, pairs=pairs, num_sampled=20)["rankme"]
    assert rank == pytest.approx(literal_rankme(h[pairs.asked[0]]))
    monkeypatch.setattr(health, "_WIDEST", 50)
    assert found(h, num_sampled=20)["rankme"] == pytest.approx(literal_rankme(h))


def test_memory_does_not_grow_with_the_rows(tmp_path):
    def peak(n):
        h = np.memmap(tmp_path / f"{n}.npy", np.float32, mode="w+", shape=(n, 64))
        h[:] = normal(n, 64)
        pairs = images(100)
        pairs.test_pairs = lambda rows, batch_size: images(100).test_pairs(np.arange(100), batch_size)
        tracemalloc.start()
        found(h, pairs=pairs, num_sampled=100)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40_000) < 1.3 * peak(10_000)


@pytest.mark.parametrize("n", [0, 1])
def test_one_image_can_not_be_compared(n):
    with pytest.raises(DataError, match=f"evaluate: 'health' compares images, and the split 'test' has {n}"):
        found(normal(n, 4))
    test = Features(np.zeros((n, 0), np.float32), None, None, "test")
    with pytest.raises(DataError, match="compares images"):
        Health().check(test, test)


def test_what_is_not_finite():
    h = normal(5, 3)
    h[2, 1], h[4, 0] = np.nan, np.inf
    with pytest.raises(DataError, match="2 of the 5 rows of features of the split 'test' are not finite, and 'health' can't"):
        found(h)
    pairs = images(5)
    pairs.views[1][3] = np.nan
    with pytest.raises(NonFiniteError, match="features of random crops are not finite"):
        found(normal(5, 3), pairs=pairs)


def test_an_encoder_in_training_mode_is_refused():
    with pytest.raises(UserError, match=r"health: the encoder is in training mode.*Call encoder.eval\(\) first"):
        Health()(Features(normal(5, 3), None, None, "test"), nn.Flatten(), images(5), 0)


def test_the_recipe_side():
    model = registry.model("health")
    assert (model().num_sampled, model().dead_below) == (4096, 1e-3)
    for wrong in [{"num_sampled": 1}, {"dead_below": -0.1}, {"dead_below": 1.0}]:
        with pytest.raises(ValidationError):
            model(**wrong)
