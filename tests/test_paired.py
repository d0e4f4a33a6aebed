"""Paired statistics: they equal scipy's, enumerations of all cases, and closed forms; and say what they can't use."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sslkit.errors import DataError, UserError
from sslkit.paired import bootstrap_interval, holm, mcnemar, right_alone


def answers(first, second, *, both=0, neither=0):
    """Which images two classifiers got right, of which so many only the first, only the second, both, neither."""
    cells = [(True, False)] * first + [(False, True)] * second + [(True, True)] * both + [(False, False)] * neither
    pairs = np.array(cells, dtype=bool).reshape(-1, 2)
    order = np.random.default_rng(0).permutation(len(pairs))
    return pairs[order, 0], pairs[order, 1]


counts = st.integers(0, 40)
some = st.tuples(counts, counts, counts, st.integers(1, 40))


class TestMcNemar:
    def test_by_hand(self):
        """Five images, all the second's: 2 of the 32 ways to deal them out are as lopsided."""
        assert mcnemar(*answers(0, 5, both=9)) == 2 / 32
        assert mcnemar(*answers(1, 4, neither=3)) == 2 * (1 + 5) / 32
        assert mcnemar(*answers(3, 3)) == 1.0

    @pytest.mark.parametrize(
        ("first", "second"), [*itertools.product(range(7), range(1, 9)), (40, 70), (500, 600), (5000, 5300)]
    )
    def test_equals_scipy_s_binomial_test(self, first, second):
        expected = scipy.stats.binomtest(min(first, second), first + second, 0.5).pvalue
        assert mcnemar(*answers(first, second, both=3)) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("seed", range(6))
    def test_equals_the_permutation_test_over_all_exchanges(self, seed):
        """The test of arXiv:2002.05709, B.8, with each of the 2^n exchanges once instead of 100,000 drawn ones."""
        right = np.random.default_rng(seed).random((2, 9)) < [[0.4], [0.7]]
        observed = abs(right[0].sum() - right[1].sum())
        differences = right[1].astype(int) - right[0]
        signs = np.array(list(itertools.product([-1, 1], repeat=9)))
        assert mcnemar(*right) == np.mean(np.abs(signs @ differences) >= observed)

    @given(some)
    def test_only_images_count_that_one_alone_got_right(self, cells):
        first, second, both, neither = cells
        p = mcnemar(*answers(first, second, both=both, neither=neither))
        assert p == mcnemar(*answers(first, second, neither=1)) == mcnemar(*answers(second, first, neither=1))
        assert 0 < p <= 1

    def test_far_apart(self):
        """The closed form 2^(1 - n), down to where no float is left."""
        assert mcnemar(*answers(0, 1000)) == 2.0**-999
        assert mcnemar(*answers(0, 3000)) == 0.0


def literal_interval(first, second, num_images, *, beyond=Fraction(1, 40)):
    """From the weights of all n^n resamples, enumerated image by image, in fractions."""
    gains = [-1] * first + [1] * second + [0] * (num_images - first - second)
    sums = [sum(one) for one in itertools.product(gains, repeat=num_images)]
    values = range(-num_images, num_images + 1)
    lower = max(d for d in values if Fraction(sum(one < d for one in sums), len(sums)) <= beyond)
    upper = min(d for d in values if Fraction(sum(one > d for one in sums), len(sums)) <= beyond)
    return lower / num_images, upper / num_images


class TestBootstrap:
    @pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (0, 5), (3, 2)])
    def test_equals_the_enumeration_of_all_resamples(self, first, second):
        right = answers(first, second, neither=5 - first - second)
        assert bootstrap_interval(*right) == literal_interval(first, second, 5)

    def test_by_hand(self):
        """Two images, one of them the second's alone: sums 0, 1, 1, 2, each a quarter of the resamples."""
        right = answers(0, 1, both=1)
        assert bootstrap_interval(*right) == (0.0, 1.0)
        assert bootstrap_interval(*right, level=0.4) == (0.5, 0.5)

    @pytest.mark.parametrize(("first", "second", "rest"), [(30, 20, 322), (3, 11, 86), (150, 190, 60)])
    def test_equals_one_convolution_after_another(self, first, second, rest):
        n = first + second + rest
        share = np.ones(1)
        for _ in range(n):
            share = np.convolve(share, np.array([first, rest, second]) / n)
        below, above = np.cumsum(share), np.cumsum(share[::-1])
        expected = ((below <= 0.025).sum() - n) / n, (n - (above <= 0.025).sum()) / n
        assert bootstrap_interval(*answers(first, second, both=rest)) == pytest.approx(expected, abs=1e-15)

    def test_is_near_to_what_scipy_draws(self):
        right = answers(40, 65, both=267)
        drawn = scipy.stats.bootstrap(
            (right[1].astype(float) - right[0],), np.mean, method="percentile", n_resamples=4000, random_state=0, batch=500
        ).confidence_interval
        assert bootstrap_interval(*right) == pytest.approx(drawn, abs=4 / 372)

    def test_is_the_normal_s_interval_of_many_images(self):
        first, second, n = 5000, 5300, 50_000
        mean = (second - first) / n
        width = scipy.stats.norm.ppf(0.975) * math.sqrt(((first + second) / n - mean**2) / n)
        found = bootstrap_interval(*answers(first, second, both=n - first - second))
        assert found == pytest.approx((mean - width, mean + width), abs=2 / n)

    @given(some)
    def test_turns_round_with_the_two(self, cells):
        first, second, both, neither = cells
        right_a, right_b = answers(first, second, both=both, neither=neither)
        lower, upper = bootstrap_interval(right_a, right_b)
        assert bootstrap_interval(right_b, right_a) == (-upper, -lower)
        assert -1 <= lower <= np.mean(right_b) - np.mean(right_a) + 1e-12
        assert np.mean(right_b) - np.mean(right_a) - 1e-12 <= upper <= 1
        wider = bootstrap_interval(right_a, right_b, level=0.99)
        assert wider[0] <= lower <= upper <= wider[1]

    def test_holds_the_truth_as_often_as_it_says(self):
        rng = np.random.default_rng(0)
        truth, held = 0.05, []
        for _ in range(400):
            first, second, rest = rng.multinomial(300, [0.10, 0.15, 0.75])
            lower, upper = bootstrap_interval(*answers(first, second, both=rest))
            held.append(lower <= truth <= upper)
        assert 0.92 < np.mean(held) < 0.98

    def test_no_image_of_one_alone(self):
        assert bootstrap_interval(*answers(0, 0, both=1)) == (0.0, 0.0)
        assert bootstrap_interval(*answers(0, 0, both=200, neither=172)) == (0.0, 0.0)
        assert bootstrap_interval(*answers(0, 1)) == (1.0, 1.0)

    @pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
    def test_a_level_that_is_none(self, level):
        with pytest.raises(UserError, match="level: must be greater than 0 and less than 1"):
            bootstrap_interval(*answers(1, 2), level=level)


class TestHolm:
    def test_by_hand(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
        assert holm([0.3]) == [0.3]
        assert holm([]) == []
        assert holm([0.5, 1.0, 0.6]) == [1.0, 1.0, 1.0]

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
    def test_rejects_what_the_steps_reject(self, p_values, level):
        """Holm's own words: from the smallest on, compare with level / m, level / (m - 1), ...; stop at the first that fails."""
        rejected = [False] * len(p_values)
        for step, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[i] * (len(p_values) - step) > level:
                break
            rejected[i] = True
        assert [p <= level for p in holm(p_values)] == rejected

    @given(st.lists(st.floats(0, 1), max_size=8))
    def test_lies_between_p_and_bonferroni(self, p_values):
        adjusted = holm(p_values)
        for p, more in zip(p_values, adjusted, strict=True):
            assert p <= more <= min(1, len(p_values) * p)
        order = np.argsort(p_values, kind="stable")
        assert (np.diff(np.array(adjusted)[order]) >= 0).all()

    @pytest.mark.parametrize("wrong", [-0.1, 1.5, float("nan")])
    def test_what_is_no_probability(self, wrong):
        with pytest.raises(UserError, match="must lie in"):
            holm([0.5, wrong])


def test_counts_and_the_same_bits_twice():
    right = answers(3, 8, both=50, neither=20)
    assert right_alone(*right) == (3, 8)
    assert [(mcnemar(*right), bootstrap_interval(*right)) for _ in range(2)] == [
        (mcnemar(*right), bootstrap_interval(*right))
    ] * 2


@pytest.mark.parametrize("statistic", [mcnemar, bootstrap_interval, right_alone])
def test_what_can_t_be_compared(statistic):
    right = np.array([True, False, True])
    with pytest.raises(DataError, match="the first saw 3 images, the second 2"):
        statistic(right, right[:2])
    with pytest.raises(DataError, match="there is no image"):
        statistic(right[:0], right[:0])
    with pytest.raises(DataError, match="one boolean an image, right or wrong; is int64"):
        statistic(right, right.astype(np.int64))
    with pytest.raises(DataError, match=r"is bool of shape \(3, 1\)"):
        statistic(right[:, None], right)
