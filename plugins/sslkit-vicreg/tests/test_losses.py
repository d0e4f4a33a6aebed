"""Both losses: what sslkit asks of every loss, the formulas of their papers written out, and cases by hand."""

import pytest
import torch
from sslkit_vicreg import BarlowTwins, VICReg

from sslkit.testing import conformance

test_vicreg = conformance("losses", "vicreg")
test_vicreg_of_the_paper = conformance("losses", "vicreg", parameters={"form": "paper"})
test_barlow_twins = conformance("losses", "barlow_twins")


def views(n=6, k=4):
    torch.manual_seed(0)
    return torch.randn(n, k, dtype=torch.float64), torch.randn(n, k, dtype=torch.float64)


def spelt_out_vicreg(z1, z2, *, gamma=1.0, eps=1e-4):
    """Equations 1 to 5, sum by sum: s, v and c."""
    n, d = z1.shape
    s = sum(((z1[i] - z2[i]) ** 2).sum() for i in range(n)) / n
    v = c = 0.0
    for z in (z1, z2):
        mean = sum(z[i] for i in range(n)) / n
        for j in range(d):
            variance = sum((z[i, j] - mean[j]) ** 2 for i in range(n)) / (n - 1)
            v += max(0.0, gamma - float((variance + eps) ** 0.5)) / d
            for other in range(d):
                if other != j:
                    covariance = sum((z[i, j] - mean[j]) * (z[i, other] - mean[other]) for i in range(n)) / (n - 1)
                    c += float(covariance) ** 2 / d
    return float(s), v, c


def test_vicreg_is_the_paper_s_sum():
    z1, z2 = views()
    s, v, c = spelt_out_vicreg(z1, z2)
    value, parts = VICReg(form="paper")(z1, z2)
    assert value.item() == pytest.approx(25 * s + 25 * v + c, rel=1e-12)
    assert [parts[name].item() for name in ("invariance", "variance", "covariance")] == pytest.approx([s, v, c], rel=1e-12)
    by_code = VICReg(invariance=2.0, variance=3.0, covariance=5.0)(z1, z2)[0].item()
    assert by_code == pytest.approx(2 * s / z1.shape[1] + 3 * v / 2 + 5 * c, rel=1e-12)


def test_vicreg_by_hand():
    """Two images in one dimension at 0 and 1, both views alike: s = 0, the variance is a half, and no pair of dimensions."""
    z = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    _, parts = VICReg(form="paper", eps=1e-12)(z, z)
    assert parts["invariance"].item() == 0
    assert parts["covariance"].item() == 0
    assert parts["variance"].item() == pytest.approx(2 * (1 - 0.5**0.5), abs=1e-6)


def test_barlow_twins_is_the_paper_s_sum():
    z1, z2 = views()
    n, d = z1.shape
    a, b = (z - sum(z[i] for i in range(n)) / n for z in (z1, z2))
    expected = 0.0
    for i in range(d):
        for j in range(d):
            norms = (sum(a[m, i] ** 2 for m in range(n)) ** 0.5) * (sum(b[m, j] ** 2 for m in range(n)) ** 0.5)
            correlation = float(sum(a[m, i] * b[m, j] for m in range(n)) / norms)
            expected += (1 - correlation) ** 2 if i == j else 0.0051 * correlation**2
    assert BarlowTwins(eps=1e-15)(z1, z2)[0].item() == pytest.approx(expected, rel=1e-9)


def test_barlow_twins_by_hand():
    """Views that are alike in dimensions that have nothing to do with each other cost nothing."""
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert BarlowTwins(eps=1e-15)(z, z)[0].item() == pytest.approx(0, abs=1e-12)
    assert BarlowTwins(redundancy=0.5, eps=1e-15)(z, z[:, [1, 0]])[0].item() == pytest.approx(2 + 0.5 * 2, abs=1e-9)


@pytest.mark.parametrize("loss", [VICReg(), BarlowTwins()])
def test_a_step_down_the_gradient_helps(loss):
    z1, z2 = (z.requires_grad_() for z in views(32, 8))
    first = loss(z1, z2)[0]
    for _ in range(200):
        gradients = torch.autograd.grad(loss(z1, z2)[0], (z1, z2))
        with torch.no_grad():
            for z, gradient in zip((z1, z2), gradients, strict=True):
                z -= 0.05 * gradient
    assert loss(z1, z2)[0] < 0.5 * first
