"""One rank equals many: the gradients of a global batch, in float64, for every loss; and the mistakes that this test must see."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sslkit import gradient
from sslkit.backbones.resnet import ResNet
from sslkit.distributed import gather as room
from sslkit.distributed.batch_norm import with_global_norm
from sslkit.distributed.ranks import num_ranks, rows_of_all, share, share_of
from sslkit.heads.mlp import MLP
from sslkit.losses import registry
from sslkit.methods.siamese import Siamese
from sslkit.testing.ranks import on_ranks

NUM_IMAGES = 7  # so that two and three ranks have uneven shares


class Batch(NamedTuple):
    views: list[Tensor]
    labels: Tensor
    indices: Tensor


def method(loss: str) -> Siamese:
    torch.manual_seed(0)
    backbone = ResNet(3, depth=18, width=0.125, stem="small", zero_init_last=False)
    whole = Siamese(backbone, MLP(backbone.out_dim, out_dim=6), registry.build(loss, {}))
    return whole.double().train()


def batch() -> Batch:
    """This rank's rows of the global batch."""
    return batch_of(share(slice(0, NUM_IMAGES)))


def batch_of(rows: slice) -> Batch:
    drawn = torch.Generator().manual_seed(1)
    views = [torch.rand(NUM_IMAGES, 3, 8, 8, generator=drawn, dtype=torch.float64) for _ in range(2)]
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    return Batch([view[rows] for view in views], labels[rows], torch.arange(NUM_IMAGES)[rows])


def gradients(loss: str, mistake: str = "none") -> dict[str, Any]:
    """Loss, gradients and running statistics after one backward pass."""
    if mistake != "none":
        MISTAKES[mistake]()
    local = method(loss)
    trained = local if mistake == "local norm" else with_global_norm(local)
    value, _ = gradient.whole(trained, batch(), 0, seed=0, device=torch.device("cpu"), precision="fp32")
    factor = 1 / num_ranks() if mistake == "loss divided by ranks" else 1.0
    return {
        "loss": float(value),
        "gradients": {
            name: torch.zeros_like(one) if one.grad is None else one.grad * factor for name, one in trained.named_parameters()
        },
        "buffers": dict(trained.named_buffers()),
    }


class Sliced(NamedTuple):
    first: list[Batch]
    second: list[Batch]
    labels: Tensor
    indices: Tensor


def sliced() -> Sliced:
    """This rank's rows of each of the global batch's two slices."""
    whole = batch_of(slice(0, NUM_IMAGES))
    slices = [batch_of(share(rows)) for rows in (slice(0, 4), slice(4, NUM_IMAGES))]
    return Sliced(slices, slices, whole.labels, whole.indices)


def in_micro_batches(loss: str) -> dict[str, Any]:
    """As `gradients`, in slices of four and of three images."""
    trained = with_global_norm(method(loss))
    value, _ = gradient.in_micro_batches(trained, sliced(), 0, seed=0, device=torch.device("cpu"), precision="fp32")
    return {
        "loss": float(value),
        "gradients": {name: one.grad for name, one in trained.named_parameters()},
        "buffers": dict(trained.named_buffers()),
    }


class Noisy(nn.Module):
    """A method with noise in both of its parts; each rank says what it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.drawn: list[float] = []

    def project(self, views: list[Tensor]) -> tuple[Tensor, ...]:
        self.drawn.append(float(torch.rand(())))
        return tuple(view.flatten(1)[:, :1] * self.weight for view in views)

    def objective(self, *zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.drawn.append(float(torch.rand(())))
        return torch.stack([z.sum() for z in zs]).sum(), {}


def noise() -> list[list[float]]:
    found = []
    for backward, one in ((gradient.whole, batch()), (gradient.in_micro_batches, sliced())):
        noisy = Noisy()
        backward(noisy, one, 5, seed=0, device=torch.device("cpu"), precision="fp32")
        found.append(noisy.drawn)
    return found


def own_slice() -> None:
    """The backward pass takes the own rows' gradient and forgets what other ranks say of them."""
    room.dist = type("NoSum", (), {"all_reduce": staticmethod(lambda _: None)})


def no_gradient() -> None:
    """What torch's `all_gather` alone gives: all rows are constants."""
    shares = [share_of(slice(0, NUM_IMAGES), one, num_ranks()) for one in range(num_ranks())]
    sizes = [one.stop - one.start for one in shares]
    gradient.gather = lambda rows: rows_of_all(rows.detach(), sizes=sizes).requires_grad_(rows.is_floating_point())


MISTAKES = {
    "own slice": own_slice,
    "no gradient": no_gradient,
    "local norm": lambda: None,
    "loss divided by ranks": lambda: None,
}


def error(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """The larger of: the norm of the whole difference against the norm; each entry's difference against the largest entry."""
    ours, theirs = (torch.cat([one.flatten() for one in each["gradients"].values()]) for each in (found, expected))
    difference = ours - theirs
    return max(float(difference.norm() / theirs.norm()), float(difference.abs().max() / theirs.abs().max()))


@pytest.mark.parametrize("num_ranks", [2, 3])
@pytest.mark.parametrize("loss", registry.names())
def test_gradients_of_many_ranks_are_those_of_one(loss: str, num_ranks: int) -> None:
    (alone,) = on_ranks(1, gradients, loss)
    for found in on_ranks(num_ranks, gradients, loss):
        check_equal(found, alone)


@pytest.mark.parametrize("loss", ["nt_xent", "sup_con"])  # without labels, and with them
def test_in_micro_batches_too(loss: str) -> None:
    (alone,) = on_ranks(1, in_micro_batches, loss)
    for found in on_ranks(3, in_micro_batches, loss):
        check_equal(found, alone)


def check_equal(found: dict[str, Any], alone: dict[str, Any]) -> None:
    assert found["loss"] == pytest.approx(alone["loss"], rel=1e-12)
    assert error(found, alone) < 1e-12
    for name, buffer in alone["buffers"].items():
        assert torch.allclose(found["buffers"][name].double(), buffer.double(), rtol=1e-12, atol=1e-14), name


def test_images_have_noise_of_their_own_on_each_rank_and_the_objective_the_same_on_all() -> None:
    (alone,), (first, second) = on_ranks(1, noise), on_ranks(2, noise)
    assert first == alone
    (projected, objective), sliced_noise = second
    assert projected != first[0][0]
    assert objective == first[0][1]
    before, after, in_objective, *again = sliced_noise
    assert [before, after] == again
    assert {before, after}.isdisjoint(first[1][:2])
    assert in_objective == first[1][2] == objective


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
@pytest.mark.fault(
    "a gather, average or batch norm that is wrong over ranks",
    injected="parts with a known mistake",
    expected="the comparison of gradients goes red",
    theme="several processes",
)
def test_it_sees_a_mistake(mistake: str) -> None:
    (alone,) = on_ranks(1, gradients, "nt_xent")
    found = on_ranks(2, gradients, "nt_xent", mistake)
    assert max(error(one, alone) for one in found) > 0.01
