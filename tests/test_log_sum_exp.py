"""Log-sum-exp by tiles: equal to the dense definition, at every tile size, and exact where shortcuts would fail."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sslkit.errors import UserError
from sslkit.losses import log_sum_exp as module
from sslkit.losses import tiles
from sslkit.losses.contrast import Contrast
from sslkit.losses.exclusions import SameModulo
from sslkit.losses.log_sum_exp import dense, log_sum_exp
from sslkit.losses.tiles import tile_side


@pytest.fixture
def tiles_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WHOLE", 0)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 4)


def rows(m: int, *, seed: int, dtype: torch.dtype = torch.float64, length: float = 1.0) -> Tensor:
    z = torch.randn(m, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (length * torch.nn.functional.normalize(z)).to(dtype).requires_grad_()


def both(function: object, queries: Tensor, keys: Tensor, **options: object) -> tuple[Tensor, ...]:
    sums = function(queries, keys, **options)  # type: ignore[operator]
    slope = torch.linspace(-1, 2, len(sums), dtype=sums.dtype)
    inputs = (queries,) if keys is queries else (queries, keys)
    return (sums, *torch.autograd.grad(sums.masked_fill(sums == -math.inf, 0), inputs, slope))


@settings(max_examples=40, deadline=None)
@given(m=st.integers(1, 14), c=st.integers(1, 14), period=st.integers(0, 14), temperature=st.floats(0.02, 5))
def test_tiles_equal_the_definition(m: int, c: int, period: int, temperature: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_WHOLE", 0)
        patch.setattr(tiles, "tile_side", lambda *_: 4)
        options = {"temperature": temperature, "exclude": SameModulo(period) if period else None}
        queries = rows(m, seed=0)
        for keys in (queries, rows(c, seed=1)):
            for found, right in zip(
                both(log_sum_exp, queries, keys, **options), both(dense, queries, keys, **options), strict=True
            ):
                torch.testing.assert_close(found, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("period", [1, 2, 3, 5, 7, 20])
@pytest.mark.parametrize(("row", "column", "height", "width"), [(0, 0, 7, 7), (4, 8, 4, 4), (9, 0, 3, 5), (0, 12, 2, 9)])
def test_leaves_out_pairs_modulo_the_period(period: int, row: int, column: int, height: int, width: int) -> None:
    tile = torch.zeros(height, width)
    SameModulo(period)(tile, row, column)
    for i in range(height):
        for j in range(width):
            assert (tile[i, j] == -math.inf) == ((row + i) % period == (column + j) % period)


@pytest.mark.usefixtures("tiles_of_four")
def test_gradient_by_finite_differences() -> None:
    queries, keys = rows(6, seed=0), rows(9, seed=1)
    assert torch.autograd.gradcheck(lambda q: log_sum_exp(q, q, temperature=0.3, exclude=SameModulo(3)), (queries,))
    assert torch.autograd.gradcheck(lambda q, k: log_sum_exp(q, k, temperature=0.3), (queries, keys))


@pytest.mark.usefixtures("tiles_of_four")
@pytest.mark.parametrize(("temperature", "length"), [(0.01, 1.0), (0.001, 1.0), (1.0, 30.0)])
@pytest.mark.fault(
    "a very low temperature",
    injected="exponents that float32 can't hold",
    expected="equal to float64",
    theme="numbers",
)
def test_no_temperature_and_no_length_overflows(temperature: float, length: float) -> None:
    """Exp of 1 / 0.01 is no float32; a shift that all rows share would lose those far below it."""
    exact = both(dense, *[rows(10, seed=0, length=length)] * 2, temperature=temperature, exclude=SameModulo(5))
    queries = rows(10, seed=0, length=length, dtype=torch.float32)
    found = both(log_sum_exp, queries, queries, temperature=temperature, exclude=SameModulo(5))
    assert (found[0].double() / exact[0] - 1).abs().max() < 1e-5
    assert (found[1].double() - exact[1]).norm() / exact[1].norm() < 1e-3


@pytest.mark.usefixtures("tiles_of_four")
@pytest.mark.parametrize("temperature", [0.1, 0.001])
def test_contrast_does_not_depend_on_the_tiles(temperature: float) -> None:
    u = rows(22, seed=0).detach()
    u[11:] = (u[11:] + u[:11]).clone()
    whole, tiled = Contrast(11, second=11, like=u), Contrast(11, second=11, like=u)
    dense(u, u, temperature=temperature, visit=whole)
    log_sum_exp(u, u, temperature=temperature, exclude=SameModulo(11), visit=tiled)
    torch.testing.assert_close(tiled.metrics(), whole.metrics())
    logits = u[:11] @ u[11:].T / temperature
    assert whole.metrics()["contrast_accuracy"] == (logits.argmax(1) == torch.arange(11)).double().mean()
    assert whole.metrics()["contrast_entropy"].item() == pytest.approx(
        torch.distributions.Categorical(logits=logits).entropy().mean().item()
    )


@pytest.mark.usefixtures("tiles_of_four")
def test_a_second_derivative_is_refused() -> None:
    queries = rows(6, seed=0)
    with pytest.raises(UserError, match="create_graph"):
        torch.autograd.grad(log_sum_exp(queries, queries, temperature=1.0).sum(), queries, create_graph=True)


@pytest.mark.usefixtures("tiles_of_four")
def test_only_what_is_asked_for_is_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory of keys, or of queries, that is not trained costs no backward of its own."""
    queries, keys = rows(6, seed=0), rows(9, seed=1)
    _, *right = both(dense, queries, keys, temperature=0.3)
    slope = torch.linspace(-1, 2, 6, dtype=torch.float64)
    for fixed, way in ((1, 0), (0, 1)):
        given = [z.detach() if i == fixed else z for i, z in enumerate((queries, keys))]
        sums = log_sum_exp(*given, temperature=0.3)
        with torch.profiler.profile() as profile:
            found = torch.autograd.grad(sums, given[way], slope)
        torch.testing.assert_close(found[0], right[way], rtol=1e-12, atol=1e-12)
        products = sum(event.name == "aten::addmm_" for event in profile.events())
        assert products == 2 * 2 * 3  # similarities and one gradient, for each of 2 x 3 tiles


@pytest.mark.parametrize("temperature", [0, 0.0, -0.1, math.nan])
@pytest.mark.parametrize("number", [4, 100])
def test_a_temperature_that_is_not_above_0_is_refused(temperature: float, number: int) -> None:
    queries = rows(number, seed=0)
    with pytest.raises(UserError, match=rf"^log_sum_exp: temperature must be above 0, is {temperature:g}\.$"):
        log_sum_exp(queries, queries, temperature=temperature)


def test_a_temperature_that_would_not_be_learned_is_refused() -> None:
    queries = rows(6, seed=0)
    with pytest.raises(UserError, match="Divide the queries"):
        inspect.unwrap(log_sum_exp)(queries, queries, temperature=torch.ones((), requires_grad=True))  # types are not checked


@pytest.mark.usefixtures("tiles_of_four")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype: torch.dtype) -> None:
    queries = rows(10, seed=0, dtype=torch.float32)
    right = both(log_sum_exp, queries, queries, temperature=0.07)
    with torch.autocast("cpu", dtype=dtype):
        found = both(log_sum_exp, queries, queries, temperature=0.07)
    assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True))
    short = log_sum_exp(queries.to(dtype), queries.to(dtype), temperature=0.07)
    assert short.dtype == torch.float32
    torch.testing.assert_close(short, right[0], rtol=2e-2, atol=0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dense_is_exact_too(dtype: torch.dtype) -> None:
    queries, keys = rows(6, seed=0, dtype=torch.float32), rows(9, seed=1, dtype=torch.float32)
    right = dense(queries, keys, temperature=0.07)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(dense(queries, keys, temperature=0.07), right)
    short = [z.detach().to(dtype).requires_grad_() for z in (queries, keys)]
    found = dense(*short, temperature=0.07)
    assert torch.equal(found, dense(*[z.float() for z in short], temperature=0.07))
    assert found.dtype == torch.float32


def test_memory_stays_linear() -> None:
    """Nothing of the size of the matrix is ever allocated, forward or backward."""
    queries = torch.nn.functional.normalize(torch.randn(8192, 4)).requires_grad_()
    with torch.profiler.profile(profile_memory=True) as profile:
        log_sum_exp(queries, queries, temperature=0.1, exclude=SameModulo(4096)).sum().backward()
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 2 * 4 * tile_side(queries.device, 4) ** 2 < 4 * 8192**2


def test_tiles_are_powers_of_two() -> None:
    for bytes_each in (4, 8):
        side = tile_side(torch.device("cpu"), bytes_each)
        assert 256 <= side <= 4096
        assert side & (side - 1) == 0
