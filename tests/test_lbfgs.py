"""L-BFGS: the directions of the book, the minimum, and where it ends."""

import numpy as np
import pytest
import torch

from sslkit.evaluations.lbfgs import Point, minimise


def convex(seed, n, *, condition=100.0):
    """A strictly convex function of n numbers that is no parabola, with its gradient."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.standard_normal((n, n)))
    a = torch.from_numpy(turned * np.geomspace(1, condition**0.5, n))  # (n, n), rows of the sum below

    def function(x):
        y = a.T @ x
        return float((y**2).sum() / 2 + torch.logsumexp(y, 0)), a @ (y + torch.softmax(y, 0))

    return function


def at(function, place):
    return Point(place, *function(place))


def near(tolerance):
    return lambda point: float(point.gradient.abs().max()) <= tolerance


def literal_inverse(pairs, n):
    """The inverse of the curvature after these steps, as a matrix: H = V' H V + s s' / y's, V = 1 - y s' / y's."""
    if not pairs:
        return np.eye(n)
    s, y = pairs[-1]
    inverse = np.eye(n) * (s @ y) / (y @ y)
    for s, y in pairs:
        v = np.eye(n) - np.outer(y, s) / (y @ s)
        inverse = v.T @ inverse @ v + np.outer(s, s) / (y @ s)
    return inverse


def test_equals_the_matrices_of_the_book():
    function, place = convex(0, 12), np.ones(12)
    found = [minimise(function, at(function, torch.ones(12).double()), done=near(0), max_steps=k) for k in range(25)]
    pairs = []
    for point in found[1:]:
        value, gradient = function(torch.from_numpy(place))
        direction = -literal_inverse(pairs[-10:], 12) @ gradient.numpy()
        step = point.place.numpy() - place
        length = (step @ direction) / (direction @ direction)
        np.testing.assert_allclose(step, length * direction, rtol=1e-6, atol=1e-9 * np.abs(step).max())
        assert point.value <= value + 1e-4 * length * (gradient.numpy() @ direction)
        assert length == pytest.approx(1.0) or length <= 0.5
        pairs.append((step, point.gradient.numpy() - gradient.numpy()))
        place = point.place.numpy()


@pytest.mark.parametrize("condition", [1.0, 1e2, 1e4])
def test_finds_the_minimum(condition):
    function = convex(1, 30, condition=condition)
    found = minimise(function, at(function, torch.ones(30).double()), done=near(1e-5), max_steps=5000)
    assert float(found.gradient.abs().max()) <= 1e-5, "so it is above the minimum by no more than 30 * 1e-10 / 2"
    value, gradient = function(found.place)
    assert value == found.value
    assert torch.equal(gradient, found.gradient)


def test_a_sphere_takes_one_step():
    calls = []

    def sphere(x):
        calls.append(x)
        return float((x**2).sum() / 2), x

    found = minimise(sphere, at(sphere, torch.full((2, 3), 4.0).double()), done=near(0), max_steps=9)
    assert found.value == 0
    assert found.place.shape == (2, 3)
    assert len(calls) == 2


def test_a_step_that_is_too_long_is_cut():
    """Of the step from 1 by -60 first a tenth is tried, the least there may be, then the lowest point of the parabola, 0."""
    tried = []

    def narrow(x):
        tried.append(float(x[0]))
        return float(30 * (x**2).sum()), 60 * x

    found = minimise(
        narrow, Point(torch.ones(1).double(), 30.0, torch.full((1,), 60.0).double()), done=near(1e-12), max_steps=20
    )
    assert tried == pytest.approx([-59, -5, 0], abs=1e-12)
    assert abs(float(found.place[0])) < 1e-12


def test_where_it_ends():
    function = convex(2, 20)
    start = at(function, torch.ones(20).double())
    assert minimise(function, start, done=lambda _point: True, max_steps=9) is start
    assert minimise(function, start, done=near(0), max_steps=0) is start
    flat = Point(torch.ones(3).double(), 7.0, torch.zeros(3).double())
    assert minimise(lambda _x: flat[1:], flat, done=lambda _point: False, max_steps=9) is flat, "nothing leads down"
    exact = minimise(function, start, done=near(0), max_steps=10_000)
    assert minimise(function, exact, done=near(0), max_steps=10_000) is exact, "rounding has ended it"
    assert float(exact.gradient.abs().max()) < 1e-6
    values = [minimise(function, start, done=near(0), max_steps=k).value for k in range(12)]
    assert values == sorted(set(values), reverse=True), "each step goes down"


def test_same_bits_twice():
    function = convex(3, 25)
    start = at(function, torch.ones(25).double())
    first, second = (minimise(function, start, done=near(1e-9), max_steps=100) for _ in range(2))
    assert torch.equal(first.place, second.place)
