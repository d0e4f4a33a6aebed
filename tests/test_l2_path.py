"""The path of l2: the minimum, whatever the features' scale; the bound that ends a search; classes that can't be learnt."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from sslkit.evaluations import l2_path
from sslkit.evaluations.l2_path import L2Path
from sslkit.evaluations.score_losses import SigmoidLoss, SoftmaxLoss

CPU = torch.device("cpu")
L2S = np.geomspace(1e5, 1e-6, 45)


def softmax_path(h, labels, *, num_classes=None, tolerance=1e-5, max_steps=1000):
    num_classes = num_classes or int(labels.max()) + 1
    return L2Path(
        h, SoftmaxLoss(labels, num_classes=num_classes, device=CPU), device=CPU, tolerance=tolerance, max_steps=max_steps
    )


def sigmoid_path(h, labels, *, tolerance=1e-5, max_steps=1000):
    return L2Path(h, SigmoidLoss(labels, device=CPU), device=CPU, tolerance=tolerance, max_steps=max_steps)


def learnable(seed, n=200, *, d=12, num_classes=4, scales=0):
    """Clusters that overlap; each feature on a scale of its own, up to so many orders of magnitude."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(num_classes, size=n - num_classes)])
    h = rng.standard_normal((num_classes, d))[labels] + 1.5 * rng.standard_normal((n, d)) + 3
    return (h * 10.0 ** rng.uniform(-scales / 2, scales / 2, d)).astype(np.float32), labels


def several(seed, n=200, *, d=12, num_classes=4):
    """The same, where a third of the images is of a second class, and some labels can't be told."""
    h, first = learnable(seed, n, d=d, num_classes=num_classes)
    rng = np.random.default_rng(seed)
    labels = np.eye(num_classes, dtype=np.int64)[first]
    labels[np.arange(n // 3), rng.integers(num_classes, size=n // 3)] = 1
    labels[rng.random(labels.shape) < 0.1] = -1
    return h, labels


def softmax_objective(weight, bias, h, labels, l2):
    """As it is written, image by image, in float64."""
    total = 0.0
    for row, label in zip(h.astype(np.float64), labels, strict=True):
        scores = weight @ row + bias
        total += scores.max() + math.log(np.exp(scores - scores.max()).sum()) - scores[label]
    return total / len(h) + l2 / 2 * float((weight**2).sum())


def sigmoid_objective(weight, bias, h, labels, l2):
    total = l2 / 2 * float((weight**2).sum())
    for c in range(labels.shape[1]):
        of_class = [
            math.log1p(math.exp(-abs(score))) + max(score, 0) - label * score
            for row, label in zip(h.astype(np.float64), labels[:, c], strict=True)
            if label >= 0
            for score in [float(weight[c] @ row + bias[c])]
        ]
        total += sum(of_class) / len(of_class)
    return total


def log_softmax(scores):
    """What the scores of a softmax say, without the constant by which all of an image's may be moved."""
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def scikit_learn(h, labels, l2):
    """Its weights and biases."""
    model = LogisticRegression(C=1 / (len(h) * l2), tol=1e-9, max_iter=10_000, solver="newton-cholesky")
    model.fit(h.astype(np.float64), labels)
    return model.coef_, model.intercept_


@pytest.mark.parametrize("scales", [0, 4, 6])
def test_reaches_the_optimum_of_scikit_learn(scales):
    h, labels = learnable(0, scales=scales)
    l2s = L2S[::11]
    assert (l2s[0], l2s[-1]) == (1e5, 1e-6)
    for l2, found in zip(l2s, softmax_path(h, labels).fits(l2s), strict=True):
        lowest = softmax_objective(*scikit_learn(h, labels, l2), h, labels, l2)
        ours = softmax_objective(found.weight, found.bias, h, labels, l2)
        assert lowest * (1 - 1e-9) <= ours <= lowest * (1 + 1e-5), l2
        assert ours - lowest <= found.gap * ours + 1e-12, "the gap is an upper bound"
        assert found.gap <= 1e-5


def test_several_classes_equal_a_fit_of_each():
    h, labels = several(1)
    l2s = L2S[::11]
    for l2, found in zip(l2s, sigmoid_path(h, labels).fits(l2s), strict=True):
        fits = [scikit_learn(h[column >= 0], column[column >= 0], l2) for column in labels.T]
        weight, bias = (np.concatenate([fit[i] for fit in fits]) for i in (0, 1))
        lowest = sigmoid_objective(weight, bias, h, labels, l2)
        ours = sigmoid_objective(found.weight, found.bias, h, labels, l2)
        assert lowest * (1 - 1e-9) <= ours <= lowest * (1 + 1e-5), l2


def test_two_classes():
    """scikit-learn has one row of weights for two classes, w, and penalises w^2; here (w / 2, -w / 2) has half of that."""
    h, labels = learnable(11, num_classes=2)
    [found] = softmax_path(h, labels, tolerance=1e-12).fits([1e-2])
    weight, bias = scikit_learn(h, labels, 1e-2 / 2)
    np.testing.assert_allclose(found.weight[1] - found.weight[0], weight[0], rtol=1e-4, atol=1e-6)
    assert found.bias[1] - found.bias[0] == pytest.approx(bias[0], rel=1e-4)


def test_more_features_than_images():
    h, labels = learnable(2, 30, d=70)
    for l2, found in zip(L2S, softmax_path(h, labels, tolerance=1e-9).fits(L2S), strict=True):
        if l2 in L2S[::11]:
            lowest = softmax_objective(*scikit_learn(h, labels, l2), h, labels, l2)
            assert softmax_objective(found.weight, found.bias, h, labels, l2) == pytest.approx(lowest, rel=1e-7)


def test_by_hand():
    """Features 1 and -1 of two classes: weights (a, -a), whose slope -2 s + 2 l2 a is 0 where l2 = s = 1 / (1 + e^(2a))."""
    h, labels = np.array([[1], [-1]], np.float32), np.array([0, 1])
    [found] = softmax_path(h, labels, tolerance=1e-13).fits([1 / (1 + math.exp(2))])
    assert found.weight.ravel().tolist() == pytest.approx([1, -1], abs=1e-5)
    assert found.bias[0] == pytest.approx(found.bias[1], abs=1e-5)


def test_without_weights_the_shares_of_the_classes_are_left():
    h, labels = learnable(3)
    [found] = softmax_path(h, labels).fits([1e9])
    np.testing.assert_allclose(np.exp(found.bias), np.bincount(labels) / len(labels), rtol=1e-6)
    [constant] = softmax_path(np.ones_like(h), labels).fits([1e-3])
    assert (constant.weight == 0).all()
    [several_found] = sigmoid_path(*several(3)).fits([1e9])
    told, positive = (several(3)[1] >= 0).sum(axis=0), (several(3)[1] == 1).sum(axis=0)
    np.testing.assert_allclose(1 / (1 + np.exp(-several_found.bias)), positive / told, rtol=1e-6)


@given(seed=st.integers(0, 1000), exponent=st.integers(-8, 8))
@settings(max_examples=15, deadline=None)
def test_scale_and_place_of_the_features(seed, exponent):
    """Features that are s times as large with an l2 that is s^2 times as large have the same scores; so have moved features."""
    h, labels = learnable(seed, 60, d=5)
    s = 2.0**exponent
    [plain] = softmax_path(h, labels, tolerance=1e-10).fits([1e-3])
    [scaled] = softmax_path((h * s).astype(np.float32), labels, tolerance=1e-10).fits([1e-3 * s**2])
    np.testing.assert_allclose(log_softmax(scaled.scores(h * np.float32(s))), log_softmax(plain.scores(h)), atol=1e-3)
    [moved] = softmax_path(h + 64, labels, tolerance=1e-10).fits([1e-3])
    np.testing.assert_allclose(log_softmax(moved.scores(h + 64)), log_softmax(plain.scores(h)), atol=1e-2)


@pytest.mark.parametrize("scales", [0, 4])
def test_the_gap_is_a_bound(scales):
    h, labels = learnable(4, 60, d=8, scales=scales)
    l2s = L2S[::4]
    exact = list(softmax_path(h, labels, tolerance=1e-9).fits(l2s))
    for tolerance in (1e-2, 1e-4, 1e-6):
        for l2, found, best in zip(l2s, softmax_path(h, labels, tolerance=tolerance).fits(l2s), exact, strict=True):
            assert found.gap <= tolerance
            ours, lowest = (softmax_objective(each.weight, each.bias, h, labels, l2) for each in (found, best))
            assert (ours - lowest) / ours <= found.gap + 1e-12


def test_a_search_that_is_cut_short_says_so():
    h, labels = learnable(5, scales=5)
    *_, found = softmax_path(h, labels, max_steps=1).fits(L2S[::4])
    assert found.gap > 1e-5


def test_a_path_equals_cold_starts_and_takes_fewer_evaluations():
    h, labels = learnable(6)
    path = softmax_path(h, labels, tolerance=1e-9)
    found, cold = list(path.fits(L2S)), softmax_path(h, labels, tolerance=1e-9)
    for l2, one in zip(L2S[::6], found[::6], strict=True):
        [alone] = cold.fits([l2])
        np.testing.assert_allclose(log_softmax(one.scores(h)), log_softmax(alone.scores(h)), atol=1e-3)
    assert path.num_evaluations / len(L2S) < 0.7 * cold.num_evaluations / len(L2S[::6])


def test_a_given_start():
    h, labels = learnable(7)
    [found] = softmax_path(h, labels).fits([1e-4])
    again = softmax_path(h, labels)
    [same] = again.fits([1e-4], found)
    assert again.num_evaluations == 2, "without weights, and at the start"
    np.testing.assert_allclose(same.weight, found.weight, rtol=1e-9)
    np.testing.assert_allclose(same.bias, found.bias, rtol=1e-9)


def test_a_class_without_images_stands_behind_all_others():
    h, labels = learnable(8)
    [found] = softmax_path(h, labels, num_classes=6).fits([1e-4])
    [without] = softmax_path(h, labels).fits([1e-4])
    np.testing.assert_array_equal(found.learnt, [True] * 4 + [False] * 2)
    np.testing.assert_array_equal(found.weight[:4], without.weight)
    assert (found.weight[4:] == 0).all()
    scores = found.scores(h)
    assert (scores[:, 4:] < scores[:, :4].min()).all()
    [now] = softmax_path(h, np.arange(len(h)) % 6, tolerance=1e-9).fits([1e-4], found)
    [cold] = softmax_path(h, np.arange(len(h)) % 6, tolerance=1e-9).fits([1e-4])
    np.testing.assert_allclose(
        log_softmax(now.scores(h)), log_softmax(cold.scores(h)), atol=1e-3, err_msg="it may get images later"
    )


def test_a_class_of_which_all_images_are_is_left_out():
    h, labels = several(9)
    labels[:, 1], labels[:, 2] = 1, np.where(np.arange(len(h)) % 2, 0, -1)
    [found] = sigmoid_path(h, labels).fits([1e-4])
    [rest] = sigmoid_path(h, labels[:, [0, 3]]).fits([1e-4])
    np.testing.assert_array_equal(found.learnt, [True, False, False, True])
    assert (found.weight[1:3] == 0).all()
    np.testing.assert_allclose(found.weight[[0, 3]], rest.weight, atol=1e-3)


def test_what_can_be_separated_is(monkeypatch):
    labels = np.arange(40) % 4
    h = (10 * np.eye(4)[labels] + np.random.default_rng(0).standard_normal((40, 4))).astype(np.float32)
    for found in softmax_path(h, labels).fits(L2S):
        assert np.isfinite(found.weight).all()
        assert found.gap <= 1e-5
    assert (found.scores(h).argmax(axis=1) == labels).all()


def test_in_any_chunks_and_twice(monkeypatch):
    h, labels = learnable(10)
    path = [list(softmax_path(h, labels).fits(L2S[::6])) for _ in range(2)]
    for first, second in zip(*path, strict=True):
        np.testing.assert_array_equal(first.weight, second.weight)
        np.testing.assert_array_equal(first.bias, second.bias)
    monkeypatch.setattr(l2_path, "_ROWS", {"cpu": 37})
    for first, other in zip(path[0], softmax_path(h, labels).fits(L2S[::6]), strict=True):
        np.testing.assert_allclose(other.weight, first.weight, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(other.scores(h), first.scores(h), rtol=1e-6, atol=1e-6)
    monkeypatch.undo()
    labels = several(10)[1]
    plain = next(sigmoid_path(h, labels).fits([1e-3]))
    monkeypatch.setattr(l2_path, "_ROWS", {"cpu": 37})
    np.testing.assert_allclose(next(sigmoid_path(h, labels).fits([1e-3])).weight, plain.weight, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "loss",
    [
        SoftmaxLoss(np.array([0, 2, 2, 1]), num_classes=4, device=CPU),
        SigmoidLoss(np.array([[1, 0], [0, -1], [1, 1], [0, 0]]), device=CPU),
    ],
)
def test_the_derivatives_of_the_losses(loss):
    """By differences: residuals are the slopes of the value, curvature the sum over the images of the slopes of these."""
    scores = torch.randn(len(loss.bias), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    everything, epsilon = slice(0, 4), 1e-5
    terms = loss(scores.clone(), everything)
    curvature = torch.zeros(len(loss.bias), dtype=torch.float64)
    for c in range(len(loss.bias)):
        for i in range(4):
            ends = [scores.clone(), scores.clone()]
            ends[0][c, i] -= epsilon
            ends[1][c, i] += epsilon
            low, high = (loss(end, everything) for end in ends)
            assert (high.value - low.value).item() / (2 * epsilon) == pytest.approx(terms.residuals[c, i].item(), abs=1e-8)
            curvature[c] += (high.residuals[c, i] - low.residuals[c, i]) / (2 * epsilon)
    torch.testing.assert_close(curvature, terms.curvature, atol=1e-8, rtol=0)
    halves = [loss(scores[:, rows].clone(), rows) for rows in (slice(0, 1), slice(1, 4))]
    torch.testing.assert_close(sum(half.value for half in halves), terms.value)
    torch.testing.assert_close(torch.cat([half.residuals for half in halves], dim=1), terms.residuals)
