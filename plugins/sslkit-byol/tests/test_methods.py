"""Both methods: what sslkit asks of every method, the losses of their papers written out, and who gets which gradient."""

import copy
import math

import pytest
import torch
from sslkit_byol import BYOL, SimSiam
from torch import nn

from sslkit import MLP
from sslkit.testing import conformance

test_byol = conformance("methods", "byol", parameters={"hidden_dim": 16})
test_simsiam = conformance("methods", "simsiam", parameters={"hidden_dim": 4})


def built(kind, **parameters):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU())
    return kind(backbone, MLP(8, out_dim=6), hidden_dim=5, **parameters).double().train()


def views(n=4):
    torch.manual_seed(1)
    return [torch.rand(n, 3, 2, 2, dtype=torch.float64) for _ in range(2)]


def unit(z):
    return z / z.norm(dim=1, keepdim=True)


def test_byol_s_loss_is_the_squared_distance_of_normalised_outputs():
    """Equation 2 as it is written first, a squared norm, and both directions."""
    method = built(BYOL)
    p1, p2, target1, target2 = method.project(views())
    expected = sum((unit(p) - unit(target)).square().sum(1).mean() for p, target in ((p1, target2), (p2, target1)))
    assert method.objective(p1, p2, target1, target2)[0].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(("progress", "expected"), [(0.25, 1 - 0.1 * (math.sqrt(0.5) + 1) / 2), (0.5, 0.95), (1.0, 1.0)])
def test_the_target_follows_along_a_cosine(progress, expected):
    method = built(BYOL, tau=0.9)
    before = copy.deepcopy(method.target[0][1].weight)
    with torch.no_grad():
        method.backbone[1].weight += 1
    method.after_step(progress)
    assert torch.allclose(method.target[0][1].weight, before + (1 - expected), atol=1e-12)


def test_the_target_gets_no_gradient_and_is_saved():
    method = built(BYOL)
    method.objective(*method.project(views()))[0].backward()
    assert all(one.grad is None for one in method.target.parameters())
    assert all(one.grad is not None for one in method.predictor.parameters())
    assert "target.0.1.weight" in method.state_dict()


def test_simsiam_s_loss_is_that_of_algorithm_1():
    method = built(SimSiam)
    p1, p2, z1, z2 = method.project(views())
    expected = -(unit(p1) * unit(z2)).sum(1).mean() / 2 - (unit(p2) * unit(z1)).sum(1).mean() / 2
    loss, numbers = method.objective(p1, p2, z1, z2)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert 0 < numbers["z_std"] < 1.01


def test_simsiam_stops_the_gradient_at_the_targets():
    """The gradient is that of a loss whose targets are plain numbers."""
    method, twin = built(SimSiam), built(SimSiam)
    method.objective(*method.project(views()))[0].backward()
    p1, p2, z1, z2 = twin.project(views())
    one, two = z1.detach().clone(), z2.detach().clone()
    loss = -(unit(p1) * unit(two)).sum(1).mean() / 2 - (unit(p2) * unit(one)).sum(1).mean() / 2
    loss.backward()
    for ours, theirs in zip(method.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)


def test_all_alike_has_no_spread():
    z = torch.ones(8, 4)
    assert built(SimSiam).objective(z, z, z, z)[1]["z_std"] == pytest.approx(0, abs=1e-6)
