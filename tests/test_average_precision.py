"""Average precision: the definition of VOC 2007, ties, and what can't be told."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from sslkit.evaluations.average_precision import average_precision, average_precisions


def ap(scores, labels):
    return average_precision(np.asarray(scores, np.float64), np.asarray(labels, np.int64))


def literal(scores, labels):
    """The definition, threshold by threshold, in fractions."""
    told = [(score, label) for score, label in zip(scores, labels, strict=True) if label >= 0]
    points = []
    for threshold in {score for score, _ in told}:
        passed = [label for score, label in told if score >= threshold]
        points.append((Fraction(sum(passed), sum(label for _, label in told)), Fraction(sum(passed), len(passed))))
    levels = [max(precision for recall, precision in points if recall >= Fraction(k, 10)) for k in range(11)]
    return float(sum(levels) / 11)


def test_by_hand():
    """Of the class are ranks 1 and 3: precision 1 up to a recall of 0.5, which are six of eleven levels, then 2/3."""
    assert ap([5, 4, 3, 2, 1], [1, 0, 1, 0, 0]) == pytest.approx((6 * 1 + 5 * 2 / 3) / 11)


def test_a_later_higher_precision_counts_for_lower_recalls():
    """Ranks 2 and 3: precision 1/2 and then 2/3, which is the highest at every recall."""
    assert ap([3, 2, 1], [0, 1, 1]) == pytest.approx(2 / 3)


def test_equal_scores_pass_together():
    assert ap([1, 1, 1, 1], [1, 0, 0, 0]) == ap([1, 1, 1, 1], [0, 0, 0, 1]) == pytest.approx(1 / 4)


def test_a_recall_of_three_in_ten_is_one_of_0_3():
    """Three images of ten stand first, then nothing but others up to the rest: four levels have precision 1."""
    labels = [1] * 3 + [0] * 90 + [1] * 7
    assert ap(-np.arange(100.0), labels) == pytest.approx((4 * 1 + 7 * 10 / 100) / 11)


def test_what_cannot_be_told_is_left_out():
    assert ap([9, 5, 8, 4, 3, 2, 1], [-1, 1, -1, 0, 1, 0, 0]) == ap([5, 4, 3, 2, 1], [1, 0, 1, 0, 0])


def test_a_class_without_images_has_none():
    assert math.isnan(ap([1, 2], [0, 0]))
    assert math.isnan(ap([1, 2], [-1, 0]))
    assert math.isnan(ap([1, 2], [-1, -1]))
    assert ap([1, 2], [1, 1]) == 1.0


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), num_scores=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_equals_the_definition(seed, n, num_scores):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(num_scores, size=n).astype(float), rng.integers(-1, 2, size=n)
    labels[0] = 1
    assert ap(scores, labels) == pytest.approx(literal(scores, labels), rel=1e-12)
    order = rng.permutation(n)
    assert ap(scores[order], labels[order]) == ap(scores, labels), "the order of the images does not matter"
    assert ap(np.exp(scores / 7), labels) == ap(scores, labels), "only the order of the scores does"


def test_equals_the_curve_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size=37)
    scores = rng.standard_normal(37) + labels
    precision, recall, _ = precision_recall_curve(labels, scores)
    levels = [precision[:-1][recall[:-1] >= k / 10 - 1e-9].max() for k in range(11)]
    assert ap(scores, labels) == pytest.approx(np.mean(levels), rel=1e-12)


def test_each_class_on_its_own():
    rng = np.random.default_rng(1)
    scores, labels = rng.standard_normal((30, 4)), rng.integers(-1, 2, size=(30, 4))
    labels[:, 2] = 0
    found = average_precisions(scores, labels)
    assert found.shape == (4,)
    np.testing.assert_array_equal(found, [ap(scores[:, c], labels[:, c]) for c in range(4)])
    assert np.isnan(found).tolist() == [False, False, True, False]
