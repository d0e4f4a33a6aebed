"""Draws: functions of their address, and good random numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslkit.draws import Draw, hashes, key, shuffled


def many(*address, n=20_000):
    return Draw(np.arange(n), *address)


def test_by_hand_splitmix64():
    # The finaliser of splitmix64 maps 0 to 0 and is a bijection; the first output of the generator seeded with 0 is known.
    from sslkit.draws import _GOLDEN, _mix

    assert _mix(0) == 0
    assert _mix(_GOLDEN) == 0xE220A8397B1DCDAF  # published test vector of splitmix64


@given(st.permutations(range(50)), st.integers(1, 49))
def test_numbers_do_not_depend_on_the_batch(order, cut):
    whole = Draw(np.arange(50), 1, "x").uniform(size=3)
    first, second = np.array(order[:cut]), np.array(order[cut:])
    assert (Draw(first, 1, "x").uniform(size=3) == whole[first]).all()
    assert (Draw(second, 1, "x").uniform(size=3) == whole[second]).all()


def test_rows_keep_their_numbers():
    draw = many("rows", n=10)
    draw.uniform()
    chosen = np.arange(10) % 3 == 0
    part = draw.rows(chosen)
    assert (part.normal(size=2) == draw.normal(size=2)[chosen]).all()


def test_every_part_of_the_address_matters():
    seen = {key(*address) for address in [(0,), (0, 0), (1,), ("0",), (0, 1), (1, 0), (0, "1"), ("a", "b"), ("ab",), (2**40,)]}
    assert len(seen) == 10


def test_a_draw_advances():
    draw = many("a")
    assert not (draw.uniform() == draw.uniform()).any()


def test_no_collisions_among_a_million_samples():
    assert len(np.unique(hashes(np.arange(1_000_000), 3, "x"))) == 1_000_000


@pytest.mark.parametrize("address", [(0, 0, "crop"), (0, 1, "crop"), (7, 300, "jitter", 1)])
def test_uniform_by_chi_square(address):
    counts, _ = np.histogram(many(*address).uniform(), bins=100, range=(0, 1))
    statistic = ((counts - 200) ** 2 / 200).sum()  # 99 degrees of freedom: mean 99, deviation 14
    assert 50 < statistic < 160


@pytest.mark.parametrize(
    ("one", "other"), [((0, "a"), (1, "a")), ((0, "a"), (0, "b")), ((0, 5, "a"), (0, 6, "a")), ((0, 1, 0), (1, 0, 0))]
)
def test_neighbouring_addresses_do_not_correlate(one, other):
    assert abs(np.corrcoef(many(*one).uniform(), many(*other).uniform())[0, 1]) < 0.03


def test_neighbouring_samples_and_draws_do_not_correlate():
    numbers = many("n").uniform(size=4)
    assert abs(np.corrcoef(numbers[:-1, 0], numbers[1:, 0])[0, 1]) < 0.03
    assert np.abs(np.corrcoef(numbers.T) - np.eye(4)).max() < 0.03


def test_avalanche_one_bit_of_the_address_flips_half_of_the_bits():
    a, b = hashes(np.arange(2000), 4, "x"), hashes(np.arange(2000), 5, "x")
    flipped = np.unpackbits((a ^ b).view(np.uint8)).mean()
    assert abs(flipped - 0.5) < 0.01


def test_laws():
    normal = many("normal").normal()
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.02
    assert abs((np.abs(normal) > 1.96).mean() - 0.05) < 0.01
    assert abs(many("p").chance(0.3).mean() - 0.3) < 0.015
    assert (np.bincount(many("k").integers(5), minlength=5) > 3700).all()
    low_high = many("u").uniform(0.2, 1.8)
    assert low_high.min() >= 0.2
    assert low_high.max() < 1.8
    assert abs(low_high.mean() - 1) < 0.02


def test_permutations_are_uniform():
    orders = many("order", n=24_000).permutation(4)
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    _, counts = np.unique(orders @ 10 ** np.arange(4), return_counts=True)
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 60  # 23 degrees of freedom


def test_shuffled_is_a_permutation_and_the_same_twice():
    order = shuffled(1000, 0, "order", 3)
    assert (np.sort(order) == np.arange(1000)).all()
    assert (order == shuffled(1000, 0, "order", 3)).all()
    assert (order != shuffled(1000, 0, "order", 4)).mean() > 0.9
