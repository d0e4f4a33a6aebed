"""SwAV: what sslkit asks of every method, the loss written out, and what Sinkhorn promises."""

import math

import pytest
import torch
from sslkit_swav import SwAV, sinkhorn
from torch import nn

from sslkit import MLP, UserError
from sslkit.testing import conformance

test_swav = conformance("methods", "swav", parameters={"prototypes": 12})


def built(**parameters):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 8), nn.ReLU())
    return SwAV(backbone, MLP(8, out_dim=6), prototypes=5, **parameters).double().train()


def views(n=4, sizes=(6, 6, 3)):
    torch.manual_seed(1)
    return [torch.rand(n, 3, size, size, dtype=torch.float64) for size in sizes]


def test_assignments_use_all_prototypes_equally():
    torch.manual_seed(0)
    q = sinkhorn(torch.rand(30, 6, dtype=torch.float64), epsilon=0.5, iterations=200)
    assert torch.allclose(q.sum(1), torch.ones(30, dtype=torch.float64))
    assert torch.allclose(q.sum(0), torch.full((6,), 5.0, dtype=torch.float64))


def test_sinkhorn_by_hand():
    """Two images that both like the first prototype: each half goes to each, for both are used equally."""
    q = sinkhorn(torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64), epsilon=0.1, iterations=3)
    assert torch.allclose(q, torch.full((2, 2), 0.5, dtype=torch.float64))


def test_large_scores_do_not_overflow():
    q = sinkhorn(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), epsilon=0.001, iterations=3)
    assert torch.isfinite(sinkhorn(torch.eye(3) * 50, epsilon=0.01, iterations=3)).all()
    assert torch.allclose(q, torch.eye(2))


def test_the_loss_is_the_paper_s_sum():
    method = built(temperature=0.3, epsilon=0.2, iterations=2)
    zs = [z.detach() for z in method.project(views())]
    prototypes = method.prototypes.weight.detach()
    scores = [[[float(z[i] @ prototypes[k] / z[i].norm()) for k in range(5)] for i in range(4)] for z in zs]
    expected = 0.0
    for assigned in (0, 1):
        q = [[math.exp(score / 0.2) for score in row] for row in scores[assigned]]
        for _ in range(2):
            columns = [sum(row[k] for row in q) for k in range(5)]
            q = [[row[k] / columns[k] / 5 for k in range(5)] for row in q]
            q = [[one / sum(row) / 4 for one in row] for row in q]
        q = [[one * 4 for one in row] for row in q]
        for other in range(3):
            if other != assigned:
                for i in range(4):
                    total = sum(math.exp(score / 0.3) for score in scores[other][i])
                    expected -= sum(q[i][k] * math.log(math.exp(scores[other][i][k] / 0.3) / total) for k in range(5)) / 4
    assert method.objective(*zs)[0].item() == pytest.approx(expected / (2 * 2), rel=1e-9)


def test_prototypes_keep_length_one_and_stay_while_frozen():
    method = built(freeze=0.5)
    method.objective(*method.project(views()))[0].backward()
    assert method.prototypes.weight.grad is None
    with torch.no_grad():
        method.prototypes.weight.mul_(3)
    method.after_step(0.5)
    assert torch.allclose(method.prototypes.weight.norm(dim=1), torch.ones(5, dtype=torch.float64))
    method.objective(*method.project(views()))[0].backward()
    assert method.prototypes.weight.grad is not None


def test_too_few_views():
    method = built(assigned=3)
    with pytest.raises(UserError, match="assigns 3 views"):
        method.objective(*method.project(views(sizes=(6, 6))))
