"""NT-Xent: equal to the authors' own code, to a double loop over anchors and to figures that a person can check."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sslkit.losses import registry
from sslkit.losses.nt_xent import NTXent


def double_loop(z1: Tensor, z2: Tensor, temperature: float) -> tuple[list[float], float, float]:
    """(arXiv:2002.05709, eq. 1): l of every anchor; then accuracy and entropy across the views."""
    z = [row.tolist() for row in torch.cat([z1, z2]).double()]
    n = len(z) // 2
    norms = [math.sqrt(sum(x * x for x in row)) or 1.0 for row in z]
    s = [
        [sum(a * b for a, b in zip(z[i], z[j], strict=True)) / norms[i] / norms[j] for j in range(2 * n)] for i in range(2 * n)
    ]
    anchors = []
    for i in range(2 * n):
        denominator = sum(math.exp(s[i][k] / temperature) for k in range(2 * n) if k != i)
        anchors.append(-math.log(math.exp(s[i][(i + n) % (2 * n)] / temperature) / denominator))
    right, entropy = 0, 0.0
    for i in range(n):
        across = s[i][n:]
        right += across.index(max(across)) == i
        total = sum(math.exp(x / temperature) for x in across)
        p = [math.exp(x / temperature) / total for x in across]
        entropy -= sum(x * math.log(x + 1e-8) for x in p) / n
    return anchors, right / n, entropy


def views(n: int, k: int, *, seed: int, noise: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z1 = torch.randn(n, k, generator=generator, dtype=torch.float64)
    z2 = z1 + noise * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return z1.to(dtype), z2.to(dtype)


def value(z1: Tensor, z2: Tensor, temperature: float = 0.1) -> Tensor:
    return NTXent(temperature=temperature).forward((z1, z2))[0]


def gradient(z1: Tensor, z2: Tensor, temperature: float = 0.1) -> Tensor:
    z1, z2 = z1.detach().requires_grad_(), z2.detach().requires_grad_()
    return torch.cat(torch.autograd.grad(value(z1, z2, temperature), (z1, z2)))


def distance(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


@pytest.mark.parametrize("case", range(5))
def test_agrees_with_the_official_code(shared: Path, case: int) -> None:
    golden = {key[2:]: v for key, v in np.load(shared / "golden" / "nt_xent.npz").items() if key.startswith(f"{case}_")}
    z = torch.from_numpy(golden["hidden"]).requires_grad_()
    loss_of = NTXent(temperature=float(golden["temperature"]), normalize=bool(golden["hidden_norm"]), directions="sum")
    loss, metrics = loss_of(z.chunk(2))
    loss.backward()
    assert loss.item() == pytest.approx(golden["loss"].item(), rel=1e-5)
    assert z.grad is not None
    assert distance(z.grad, torch.from_numpy(golden["grad"])) < 1e-5
    assert metrics["contrast_accuracy"].item() == pytest.approx(golden["contrast_acc"].item(), rel=1e-6)
    assert metrics["contrast_entropy"].item() == pytest.approx(golden["contrast_entropy"].item(), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 6), k=st.integers(1, 5), seed=st.integers(0, 1000), temperature=st.floats(0.05, 5.0))
def test_equals_the_double_loop(n: int, k: int, seed: int, temperature: float) -> None:
    z1, z2 = views(n, k, seed=seed)
    loss, metrics = NTXent(temperature=temperature)((z1, z2))
    anchors, accuracy, entropy = double_loop(z1, z2, temperature)
    assert loss.item() == pytest.approx(sum(anchors) / (2 * n), rel=1e-9, abs=1e-12)
    assert metrics["contrast_entropy"].item() == pytest.approx(entropy, rel=1e-9, abs=1e-7)
    if k > 1:  # with one dimension every cosine is 1 or -1, and rounding settles ties
        assert metrics["contrast_accuracy"].item() == pytest.approx(accuracy)


def test_by_hand() -> None:
    """Three images in the plane; the loop itself is held against figures worked out apart from any code here."""
    a, b = torch.tensor([[1.0, 0], [0, 1], [1, 1]]), torch.tensor([[2.0, 1], [-1, 1], [1, 0]])
    anchors, accuracy, entropy = double_loop(a, b, 0.5)
    assert anchors == pytest.approx([1.141166, 1.125216, 1.581922, 1.284335, 0.399107, 1.515807], abs=1e-6)
    for temperature, right in ((1.0, 1.306866), (0.5, 1.174592), (0.1, 1.560183)):
        assert value(a, b, temperature).item() == pytest.approx(right, abs=2e-6)
    metrics = NTXent(temperature=0.5)((a, b))[1]
    assert (accuracy, entropy) == pytest.approx((1 / 3, 0.875874), abs=1e-6)
    assert metrics["contrast_accuracy"].item() == pytest.approx(1 / 3)
    assert metrics["contrast_entropy"].item() == pytest.approx(0.875874, abs=1e-6)


@pytest.mark.parametrize(("n", "right"), [(2, math.log(3)), (256, 6.23637), (512, 6.93049)])
@pytest.mark.fault(
    "identical projections",
    injected="all rows equal",
    expected="the loss by hand, a gradient of 0",
    theme="numbers",
)
def test_identical_rows(n: int, right: float) -> None:
    """Every view looks like every other: ln(2n - 1), and nowhere to go."""
    z = torch.ones(n, 8)
    loss, metrics = NTXent(temperature=0.1)((z, z))
    assert loss.item() == pytest.approx(right, abs=1e-5)
    assert metrics["contrast_entropy"].item() == pytest.approx(math.log(n), rel=1e-5)
    assert gradient(z, z).abs().max() < 1e-6


@pytest.mark.parametrize(("temperature", "right"), [(0.5, 4.93672), (0.1, 0.045354)])
def test_orthogonal_images(temperature: float, right: float) -> None:
    """Positives identical, all else orthogonal: -1 / t + ln(e^(1 / t) + 2n - 2)."""
    z = torch.eye(512)
    loss, metrics = NTXent(temperature=temperature)((z, z))
    assert loss.item() == pytest.approx(right, rel=2e-5)
    assert metrics["contrast_accuracy"].item() == 1.0


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 8), seed=st.integers(0, 1000), temperature=st.sampled_from([0.05, 0.1, 0.5, 1.0]))
def test_order_side_and_length_do_not_matter(n: int, seed: int, temperature: float) -> None:
    z1, z2 = views(n, 5, seed=seed)
    loss, metrics = NTXent(temperature=temperature)((z1, z2))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    permuted, permuted_metrics = NTXent(temperature=temperature)((z1[order], z2[order]))
    torch.testing.assert_close(permuted, loss)
    torch.testing.assert_close(permuted_metrics, metrics)
    torch.testing.assert_close(value(z2, z1, temperature), loss)
    lengths = torch.logspace(-12, 12, n, dtype=torch.float64)[:, None]
    torch.testing.assert_close(value(lengths * z1, z2 / lengths, temperature), loss)
    along = (gradient(z1, z2, temperature) * torch.cat([z1, z2])).sum(1)  # none along a row's own direction
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-12, rtol=0)


@pytest.mark.parametrize("negatives", ["all_views", "other_view"])
def test_negatives_of_the_other_view(negatives: str) -> None:
    """(arXiv:2002.05709, B.10): the denominator holds the n views on the positive's side."""
    z1, z2 = views(7, 5, seed=0)
    u1, u2 = torch.nn.functional.normalize(z1), torch.nn.functional.normalize(z2)
    right = torch.arange(7)
    across = [torch.nn.functional.cross_entropy(a @ b.T / 0.2, right) for a, b in ((u1, u2), (u2, u1))]
    found = NTXent(temperature=0.2, negatives=negatives)((z1, z2))[0]
    assert torch.isclose(found, (across[0] + across[1]) / 2) == (negatives == "other_view")
    assert NTXent(temperature=0.2, negatives=negatives, directions="sum")((z1, z2))[0].item() == pytest.approx(2 * found.item())


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_gradient_by_finite_differences(temperature: float) -> None:
    z1, z2 = (z.requires_grad_() for z in views(4, 3, seed=0))
    assert torch.autograd.gradcheck(lambda a, b: value(a, b, temperature), (z1, z2))


def test_easy_pairs_do_not_cancel() -> None:
    """At temperature 0.03 the textbook form loses the gradient in float32; the control shows that the check can fail."""
    z1, z2 = views(64, 128, seed=0, noise=0.02, dtype=torch.float32)
    exact = gradient(z1.double(), z2.double(), 0.03)
    assert distance(gradient(z1, z2, 0.03), exact) < 1e-4
    assert value(z1, z2, 0.03).item() == pytest.approx(value(z1.double(), z2.double(), 0.03).item(), rel=1e-4)

    def textbook(z: Tensor) -> Tensor:
        u = torch.nn.functional.normalize(z)
        logits = (u @ u.T / 0.03).fill_diagonal_(-math.inf)
        return torch.nn.functional.cross_entropy(logits, torch.arange(len(z)).roll(len(z) // 2))

    z = torch.cat([z1, z2]).requires_grad_()
    (control,) = torch.autograd.grad(textbook(z), z)
    assert distance(control, exact) > 1e-2
    wide = z.detach().double().requires_grad_()
    (same,) = torch.autograd.grad(textbook(wide), wide)
    assert distance(same, exact) < 1e-6


def test_hard_pairs_at_a_low_temperature() -> None:
    """Positives opposite, a negative on the spot: the loss is 2 / temperature and a little, and stays exact."""
    z1 = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert value(z1, -z1, 0.01).item() == pytest.approx(200.0, rel=1e-6)
    assert gradient(z1, -z1, 0.01).isfinite().all()


@pytest.mark.fault(
    "a batch of one image",
    injected="n = 1",
    expected="loss and gradient 0",
    theme="numbers",
)
def test_a_single_image_has_loss_zero() -> None:
    z1, z2 = views(1, 4, seed=0)
    loss, metrics = NTXent()((z1, z2))
    assert loss.item() == 0.0
    assert torch.equal(gradient(z1, z2), torch.zeros(2, 4, dtype=torch.float64))
    assert metrics["contrast_accuracy"].item() == 1.0
    assert metrics["contrast_entropy"].item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.fault(
    "projections that are zero",
    injected="rows of zeros",
    expected="finite loss and gradient, as by definition",
    theme="numbers",
)
def test_rows_of_zeros(dtype: torch.dtype) -> None:
    z1, z2 = views(4, 3, seed=0, dtype=dtype)
    z1[1] = 0
    z2[1:3] = 0
    anchors, _, _ = double_loop(z1, z2, 0.1)
    assert value(z1, z2).item() == pytest.approx(sum(anchors) / 8, rel=1e-5)
    slope = gradient(z1, z2)
    assert slope.isfinite().all()
    assert not slope[[1, 5, 6]].any()
    assert slope[[0, 2, 3, 4, 7]].any(dim=1).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_a_number_is_not_hidden(bad: float) -> None:
    z1, z2 = views(4, 3, seed=0)
    z1[0, 0] = bad
    assert value(z1, z2).isnan()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.fault(
    "half precision",
    injected="autocast, and rounded rows",
    expected="computed in float32",
    theme="numbers",
)
def test_half_precision(dtype: torch.dtype) -> None:
    z1, z2 = views(16, 32, seed=0, dtype=torch.float32)
    exact, exact_metrics = NTXent()((z1, z2))
    with torch.autocast("cpu", dtype=dtype):
        loss, metrics = NTXent()((z1, z2))
    assert torch.equal(loss, exact)  # autocast changes nothing in here
    assert metrics == exact_metrics

    rounded, rounded_metrics = NTXent()((z1.to(dtype), z2.to(dtype)))
    assert rounded.dtype == rounded_metrics["contrast_entropy"].dtype == torch.float32
    assert rounded.item() == pytest.approx(exact.item(), rel=2e-2)
    assert distance(gradient(z1.to(dtype), z2.to(dtype)), gradient(z1, z2)) < 5e-2


def test_the_same_bits_twice() -> None:
    z1, z2 = views(32, 16, seed=0, dtype=torch.float32)
    assert torch.equal(value(z1, z2), value(z1, z2))
    assert torch.equal(gradient(z1, z2), gradient(z1, z2))


def test_metrics_are_detached() -> None:
    z1, z2 = (z.requires_grad_() for z in views(4, 3, seed=0))
    loss, metrics = NTXent()((z1, z2))
    assert loss.requires_grad
    assert not any(metric.requires_grad for metric in metrics.values())


def test_a_toy_gets_better() -> None:
    """Free projections, pushed by the loss alone, find their partners."""
    z1, z2 = (torch.nn.Parameter(z) for z in views(16, 8, seed=0, noise=3.0, dtype=torch.float32))
    loss_of, optimizer = NTXent(temperature=0.5), torch.optim.SGD([z1, z2], lr=20.0)
    accuracies = []
    for _ in range(60):
        loss, metrics = loss_of((z1, z2))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        accuracies.append(metrics["contrast_accuracy"].item())
    assert accuracies[0] < 0.9
    assert accuracies[-1] == 1.0


def test_fits_the_contract_of_its_kind() -> None:
    assert registry.load("nt_xent") is NTXent
    assert registry.model("nt_xent")().model_dump() == {
        "temperature": 0.1,
        "normalize": True,
        "negatives": "all_views",
        "directions": "mean",
    }
    assert registry.build("nt_xent", {"temperature": 0.5}).temperature == 0.5
