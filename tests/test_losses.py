"""What every loss is held to, and what each of them is equal to."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sslkit import signatures
from sslkit.errors import UserError
from sslkit.losses import registry, tiles
from sslkit.losses.dcl import DCL
from sslkit.losses.exclusions import Exclusion, OtherLabel, SameLabel, SameModulo
from sslkit.losses.margin import Margin
from sslkit.losses.nt_logistic import NTLogistic
from sslkit.losses.nt_xent import NTXent
from sslkit.losses.pair_sum import pair_sum
from sslkit.losses.semi_hard import semi_hard
from sslkit.losses.sup_con import SupCon
from sslkit.methods.siamese import Siamese

LOSSES = {
    "nt_xent": NTXent(temperature=0.2),
    "nt_xent, other view": NTXent(temperature=0.2, negatives="other_view"),
    "nt_logistic": NTLogistic(temperature=0.2),
    "nt_logistic, semi-hard": NTLogistic(temperature=0.2, mining="semi_hard"),
    "margin": Margin(margin=0.4),
    "margin, semi-hard": Margin(margin=0.4, mining="semi_hard"),
    "sup_con, out": SupCon(temperature=0.2),
    "sup_con, in": SupCon(temperature=0.2, mean="in"),
    "dcl": DCL(temperature=0.2),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


@pytest.fixture(params=[4, 1024], ids=["small tiles", "one tile"])
def any_tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslkit.losses.log_sum_exp._WHOLE", 0)
    monkeypatch.setattr(tiles, "tile_side", lambda *_: request.param)
    monkeypatch.setattr("sslkit.losses.pair_sum.tile_side", lambda *_: request.param)


def views(n: int, *, seed: int = 0, count: int = 2, noise: float = 1.0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    return [(images + noise * torch.randn(n, 5, generator=generator, dtype=torch.float64)).to(dtype) for _ in range(count)]


def classes(n: int) -> Tensor:
    return torch.arange(n) % 3


def call(loss: nn.Module, zs: Sequence[Tensor], labels: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    offered = {"zs": list(zs), "z1": zs[0], "z2": zs[-1], "labels": classes(len(zs[0])) if labels is None else labels}
    found: tuple[Tensor, dict[str, Tensor]] = loss(**signatures.declared(type(loss).forward, offered))
    return found


def gradient(loss: nn.Module, zs: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
    zs = [z.detach().requires_grad_() for z in zs]
    return torch.cat(torch.autograd.grad(call(loss, zs, labels)[0], zs))


def cosine(a: Tensor, b: Tensor) -> float:
    return sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) / math.hypot(*a.tolist()) / math.hypot(*b.tolist())


def logistic(x: float) -> float:
    return math.log(1 + math.exp(x))


def two_views(loss: nn.Module, zs: Sequence[Tensor]) -> float:
    """(arXiv:2002.05709, table 2), anchor by anchor; negatives from the other view (B.10)."""
    values, positives = [], []
    for anchors, others in (zs, zs[::-1]):
        for i, anchor in enumerate(anchors):
            positive = cosine(anchor, others[i])
            negatives = [cosine(anchor, other) for j, other in enumerate(others) if j != i]
            if loss.mining == "semi_hard":
                lower = positive - (loss.margin if isinstance(loss, Margin) else math.inf)
                negatives = [s for s in negatives if lower < s < positive]
                negatives = [max(negatives)] if negatives else []
            if isinstance(loss, Margin):
                values += [max(s - positive + loss.margin, 0) for s in negatives]
            else:
                if negatives:
                    positives.append(logistic(-positive / loss.temperature))
                values += [logistic(s / loss.temperature) for s in negatives]
    total = sum(values) / max(1, len(values))
    return total + sum(positives) / max(1, len(positives))


def many_views(loss: nn.Module, zs: Sequence[Tensor], labels: Tensor) -> float:
    """(arXiv:2002.05709, eq. 1), (arXiv:2004.11362, eq. 2 and 3), (arXiv:2110.06848, eq. 6): anchor by anchor."""
    n = len(labels)
    rows = [z for view in zs for z in view]
    similarity = [[cosine(a, b) / loss.temperature for b in rows] for a in rows]
    values = []
    for i, of_i in enumerate(similarity):
        others = [k for k in range(len(rows)) if k != i]
        own = [k for k in others if k % n == i % n]
        everything = math.log(sum(math.exp(of_i[k]) for k in others))
        if isinstance(loss, SupCon):
            own = [k for k in others if labels[k % n] == labels[i % n]]
            if loss.mean == "in":
                values.append(everything - math.log(sum(math.exp(of_i[p]) for p in own) / len(own)))
                continue
        if isinstance(loss, DCL):
            everything = math.log(sum(math.exp(of_i[k]) for k in others if k not in own))
        sums = dict.fromkeys(own, everything)
        if getattr(loss, "negatives", "") == "other_view":
            sums = {p: math.log(sum(math.exp(of_i[k]) for k in range(len(rows)) if k // n == p // n)) for p in own}
        values.append(sum(sums[p] - of_i[p] for p in own) / len(own))
    return sum(values) / len(values)


@pytest.mark.usefixtures("any_tiles")
@every_loss
@pytest.mark.parametrize(("n", "count"), [(2, 2), (7, 2), (13, 2), (5, 3), (6, 4)])
def test_equals_a_loop_over_anchors(loss: nn.Module, n: int, count: int) -> None:
    if isinstance(loss, NTLogistic | Margin):
        zs = views(n)
        right = two_views(loss, zs)
    else:
        zs = views(n, count=count)
        right = many_views(loss, zs, classes(n))
    assert call(loss, zs)[0].item() == pytest.approx(right, rel=1e-9)


@pytest.mark.usefixtures("any_tiles")
@every_loss
def test_gradient_by_finite_differences(loss: nn.Module) -> None:
    zs = [z.requires_grad_() for z in views(6, noise=0.8)]
    assert torch.autograd.gradcheck(lambda *zs: call(loss, zs)[0], zs)


@pytest.mark.usefixtures("any_tiles")
@every_loss
def test_order_side_and_length_do_not_matter(loss: nn.Module) -> None:
    zs = views(9)
    value, metrics = call(loss, zs)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    permuted, permuted_metrics = call(loss, [z[order] for z in zs], classes(9)[order])
    torch.testing.assert_close(permuted, value)
    torch.testing.assert_close(permuted_metrics, metrics)
    torch.testing.assert_close(call(loss, zs[::-1])[0], value)
    lengths = torch.logspace(-9, 9, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(call(loss, [lengths * zs[0], zs[1] / lengths])[0], value)


@pytest.mark.usefixtures("any_tiles")
@every_loss
def test_stays_finite_where_nothing_differs(loss: nn.Module) -> None:
    same, gone = torch.ones(6, 5), torch.zeros(6, 5)
    some = views(6, dtype=torch.float32)
    some[0][1] = some[1][1:3] = 0
    for zs in ([same, same], [gone, gone], [same, gone], [same, -same], some):
        for labels in (classes(6), torch.zeros(6, dtype=torch.int64), torch.arange(6)):
            value, metrics = call(loss, zs, labels)
            assert value.isfinite()
            assert gradient(loss, zs, labels).isfinite().all()
            assert all(number.isfinite() for number in metrics.values())


@every_loss
def test_low_temperatures_stay_finite_and_exact(loss: nn.Module) -> None:
    if isinstance(loss, Margin):
        colder: nn.Module = loss
    else:
        parameters = {k: getattr(loss, k) for k in ("negatives", "mining", "mean") if hasattr(loss, k)}
        colder = type(loss)(temperature=0.01, **parameters)
    zs = views(40, noise=0.3, dtype=torch.float32)
    exact = gradient(colder, [z.double() for z in zs])
    assert (gradient(colder, zs).double() - exact).norm() / exact.norm() < 1e-3


@every_loss
def test_easy_pairs_do_not_cancel(loss: nn.Module) -> None:
    if isinstance(loss, Margin):
        colder: nn.Module = loss
    else:
        parameters = {k: getattr(loss, k) for k in ("negatives", "mining", "mean") if hasattr(loss, k)}
        colder = type(loss)(temperature=0.03, **parameters)
    zs = views(20, noise=0.02, dtype=torch.float32)
    for labels in (torch.arange(20), classes(20)):
        exact = gradient(colder, [z.double() for z in zs], labels)
        assert (gradient(colder, zs, labels).double() - exact).norm() <= 1e-4 * exact.norm()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_with_hard_pairs(loss: nn.Module, dtype: torch.dtype) -> None:
    z1 = views(16, dtype=torch.float32)[0]
    zs = [z1, -z1]
    exact = call(loss, zs)[0]
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(call(loss, zs)[0], exact)  # autocast changes nothing in here
    rounded = call(loss, [z.to(dtype) for z in zs])[0]
    assert rounded.dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=2e-2)
    assert gradient(loss, [z.to(dtype) for z in zs]).isfinite().all()


def test_a_hard_pair_has_its_true_loss_in_half_precision() -> None:
    """Positives opposite at temperature 0.07: 2 / 0.07 at most, where others stop near 10."""
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float16)
    right = math.log(math.exp(-1 / 0.07) + 2 * math.exp(0)) + 1 / 0.07
    assert NTXent(temperature=0.07)((z, -z))[0].item() == pytest.approx(right, rel=1e-5)
    assert right == pytest.approx(15, abs=0.1)


@every_loss
def test_the_same_bits_twice(loss: nn.Module) -> None:
    zs = views(64, dtype=torch.float32)
    assert torch.equal(call(loss, zs)[0], call(loss, zs)[0])
    assert torch.equal(gradient(loss, zs), gradient(loss, zs))


@every_loss
def test_a_toy_gets_better(loss: nn.Module) -> None:
    zs = [nn.Parameter(z) for z in views(12, noise=2.0, dtype=torch.float32)]
    optimizer = torch.optim.Adam(zs, lr=0.1)
    values = []
    for _ in range(60):
        value, _ = call(loss, zs, torch.arange(12))
        values.append(value.item())
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert min(values) == min(values[1:]) < values[0]
    agreement = torch.cosine_similarity(*zs).mean() - torch.cosine_similarity(zs[0], zs[1].roll(1, 0)).mean()
    assert agreement > 0.5


@every_loss
def test_memory_stays_linear(loss: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the size of the matrix is ever allocated, forward or backward; tiles are as large on every machine."""
    monkeypatch.setattr(tiles, "tile_side", lambda *_: 512)
    monkeypatch.setattr("sslkit.losses.pair_sum.tile_side", lambda *_: 512)
    zs = [z.requires_grad_() for z in views(3000, dtype=torch.float32)]
    with torch.profiler.profile(profile_memory=True) as profile:
        call(loss, zs, torch.arange(3000) % 100)[0].backward()
    largest = max(event.self_cpu_memory_usage for event in profile.events())
    assert 0 < largest <= 2 * 4 * 512**2 < 4 * 3000**2


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 8), count=st.integers(2, 4), seed=st.integers(0, 100))
def test_sup_con_of_single_images_is_nt_xent(n: int, count: int, seed: int) -> None:
    zs = views(n, seed=seed, count=count)
    labels = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(call(SupCon(), zs, labels), call(NTXent(), zs))
    torch.testing.assert_close(gradient(SupCon(), zs, labels), gradient(NTXent(), zs))
    if count == 2:  # with one positive both means are the same
        torch.testing.assert_close(call(SupCon(mean="in"), zs, labels)[0], call(NTXent(), zs)[0])


def test_the_mean_inside_is_never_larger() -> None:
    """Jensen's inequality."""
    for seed in range(10):
        zs = views(12, seed=seed)
        assert call(SupCon(mean="in"), zs)[0] < call(SupCon(), zs)[0]


def test_an_anchor_without_positives_does_not_count() -> None:
    (z,) = views(5, count=1)
    alone = torch.tensor([0, 0, 1, 1, 2])
    similarity = torch.nn.functional.normalize(z) @ torch.nn.functional.normalize(z).T / 0.1
    similarity.fill_diagonal_(-math.inf)
    pairs = ((0, 1), (1, 0), (2, 3), (3, 2))
    right = sum(similarity[i].logsumexp(0) - similarity[i, j] for i, j in pairs) / 4
    value, metrics = SupCon()([z], alone)
    torch.testing.assert_close(value, right)
    assert metrics == {}
    assert gradient(SupCon(), [z], torch.arange(5)).eq(0).all()
    assert SupCon()([z], torch.arange(5))[0] == 0


@pytest.mark.parametrize(
    ("loss", "weights"),
    [
        (NTLogistic(temperature=0.5), "logistic"),
        (Margin(margin=0.7), "margin"),
    ],
)
def test_gradient_is_the_table_s(loss: nn.Module, weights: str) -> None:
    """The right column of table 2, then the chain rule through u = z / |z|: (I - u u^T) / |z|."""
    z1, z2 = views(7)
    u1, u2 = torch.nn.functional.normalize(z1), torch.nn.functional.normalize(z2)
    right = torch.zeros_like(u1)
    for i in range(7):
        for j in (j for j in range(7) if j != i):
            # u = u1_i as the anchor, and its part as a negative of u2_j, whose table is the same pair seen from there
            s_p, s_n = u1[i] @ u2[i], u1[i] @ u2[j]
            if weights == "logistic":
                right[i] -= torch.sigmoid(-s_p / 0.5) / 0.5 * u2[i] / (7 * 6)
                right[i] += torch.sigmoid(s_n / 0.5) / 0.5 * u2[j] / (7 * 6)
            else:
                right[i] -= (u2[i] - u2[j]) * (s_p - s_n < 0.7) / (2 * 7 * 6)
                other = u2[j] @ u1[j] - u2[j] @ u1[i] < 0.7  # anchor u2_j, positive u1_j, negative u1_i
                right[i] += u2[j] * other / (2 * 7 * 6)
                right[i] -= u2[i] * (u2[i] @ u1[i] - u2[i] @ u1[j] < 0.7) / (2 * 7 * 6)  # anchor u2_i, its positive
    chained = (right - (right * u1).sum(1, keepdim=True) * u1) / z1.norm(dim=1, keepdim=True)
    torch.testing.assert_close(gradient(loss, (z1, z2))[:7], chained)


def test_semi_hard_by_hand() -> None:
    """Positive at similarity 0.8; of 0.9, 0.6, 0.5 and -1 the second is the most similar below it."""
    angles = torch.tensor([0.8, 0.9, 0.6, 0.5, -1.0], dtype=torch.float64).arccos()
    others = torch.stack((angles.cos(), angles.sin()), dim=1)
    anchors = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(5, 1)
    found, some = semi_hard(anchors, others)
    assert found[:4].tolist() == pytest.approx([0.6, 0.8, 0.5, -1.0])
    assert some.tolist() == [True, True, True, True, False]
    assert semi_hard(anchors, others, margin=0.15)[1].tolist() == [False, True, True, False, False]


def test_what_is_not_a_number_is_not_hidden() -> None:
    """A single NaN in the projections has to reach the loss, where training stops; mining must not pass it by."""
    for name, loss in LOSSES.items():
        zs = views(6)
        zs[0][2, 1] = math.nan
        assert call(loss, zs)[0].isnan(), name


def test_pair_sum_of_a_function_that_leaves_a_tensor_out() -> None:
    """One whose value does not depend on one of its tensors, or, without a graph, on any."""
    a, b = (z.requires_grad_() for z in views(5))
    pair_sum(lambda rows, columns, *_: rows.sum() * columns.shape[0], [a], [b]).backward()
    assert a.grad is not None
    assert b.grad is not None
    assert a.grad.eq(5).all()
    assert b.grad.eq(0).all()
    pair_sum(lambda rows, columns, *_: rows.sum(), [a.detach()], [b]).backward()
    assert b.grad.eq(0).all()
    with torch.no_grad():
        torch.testing.assert_close(pair_sum(lambda rows, columns, *_: (rows @ columns.T).sum(), [a], [b]), (a @ b.T).sum())


def test_pair_sum_hands_labels_and_masks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no gradient may be of any type, also where it comes first; it decides neither the sum's type nor the tile."""
    sides = []
    monkeypatch.setattr("sslkit.losses.pair_sum.tile_side", lambda _, bytes_each: sides.append(bytes_each) or 4)
    (a, fixed), label, chosen = views(9, dtype=torch.float32), classes(9), torch.arange(9) % 2 == 0
    a.requires_grad_()

    def of_tile(chosen: Tensor, label: Tensor, a: Tensor, b: Tensor, of_b: Tensor, *_: int) -> Tensor:
        return ((a @ b.T).square() * chosen[:, None] * (label[:, None] == of_b)).sum()

    def found() -> Tensor:
        return pair_sum(of_tile, [chosen, label, a], [fixed, label])

    right = of_tile(chosen, label, a, fixed, label)
    torch.testing.assert_close(found(), right)
    torch.testing.assert_close(torch.autograd.grad(found(), a), torch.autograd.grad(right, a))
    with torch.no_grad():
        torch.testing.assert_close(found(), right)
    assert set(sides) == {4}
    seen = []
    pair_sum(lambda a, b, *_: seen.append((a.requires_grad, b.requires_grad)) or (a @ b.T).sum(), [a], [fixed]).backward()
    assert set(seen) == {(True, False)}
    assert fixed.grad is None


def test_the_mean_inside_needs_no_sums_of_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensor:
        raise AssertionError

    monkeypatch.setattr("sslkit.losses.sup_con._mean_positive", refuse)
    assert call(SupCon(mean="in"), views(6))[0].isfinite()
    with pytest.raises(AssertionError):
        call(SupCon(), views(6))


@pytest.mark.parametrize("exclude", [SameModulo(5), SameLabel(torch.arange(12) // 4), OtherLabel(torch.arange(12) // 4)])
def test_what_an_exclusion_covers_it_leaves_out(exclude: Exclusion) -> None:
    for rows in tiles.slices(12, 3):
        for columns in tiles.slices(12, 3):
            tile = torch.zeros(3, 3)
            exclude(tile, rows.start, columns.start)
            assert not exclude.covers(rows, columns) or tile.eq(-math.inf).all()


@every_loss
def test_a_second_derivative_is_refused_where_it_is_said(loss: nn.Module) -> None:
    """Of many pairs, tile by tile; the message says what helps. Mining compares few."""
    for n in (4, 70):
        zs = [z.requires_grad_() for z in views(n)]
        pairs = isinstance(loss, NTLogistic | Margin)
        if loss.mining == "all" if pairs else n == 70:
            with pytest.raises(UserError, match="whole matrix"):
                torch.autograd.grad(call(loss, zs)[0], zs, create_graph=True)
        else:
            slopes = torch.autograd.grad(call(loss, zs)[0], zs, create_graph=True)
            assert torch.autograd.grad(torch.cat(slopes).square().sum(), zs)[0].isfinite().all()


def test_a_window_without_width_is_refused() -> None:
    with pytest.raises(UserError, match=r"^margin: must be greater than 0 with mining"):
        Margin(margin=0.0, mining="semi_hard")
    assert Margin(margin=0.0).margin == 0


def test_the_least_number_of_views_is_what_is_taken() -> None:
    (z,) = views(4, count=1)
    for loss in (NTXent(), DCL(), SupCon()):
        least = loss.min_views
        assert call(loss, [z] * least)[0].isfinite()
        if least > 1:
            with pytest.raises(UserError, match="num_views"):
                call(loss, [z] * (least - 1))
        assert Siamese(nn.Identity(), nn.Identity(), loss).min_views == least


def test_what_can_t_be_compared_is_refused() -> None:
    (z,) = views(4, count=1)
    for loss in (NTXent(), DCL()):
        with pytest.raises(UserError, match="num_views"):
            loss([z])
    with pytest.raises(UserError, match="single image"):
        DCL()([z[:1], z[:1]])


def test_all_are_registered_and_have_defaults() -> None:
    for name in registry.names():
        if registry.component(name).distribution == "sslkit":
            assert isinstance(registry.build(name), nn.Module)
    assert {type(loss) for loss in LOSSES.values()} == {
        registry.load(name) for name in ("dcl", "margin", "nt_logistic", "nt_xent", "sup_con")
    }
