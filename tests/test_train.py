"""The loop, the gradients and the siamese method: Algorithm 1, step by step."""

import pytest
import torch
from torch import nn

from sslkit.errors import UserError
from sslkit.gradient import whole
from sslkit.loader import Batch
from sslkit.losses.nt_xent import NTXent
from sslkit.methods.siamese import Siamese
from sslkit.train import set_lr, train


class Tiny(nn.Module):
    out_dim = 6

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images):
        return self.layers(images)


def siamese(loss=None, *, dropout=0.0):
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(6, 4), nn.Dropout(dropout))
    return Siamese(Tiny(), head, loss or NTXent(temperature=0.5)).double()


def batch(seed=0, views=2):
    generator = torch.Generator().manual_seed(seed)
    return Batch([torch.rand(5, 3, 8, 8, generator=generator).double() for _ in range(views)], None, torch.arange(5))


def gradients(method, step=0, *, seed=0):
    method.zero_grad()
    whole(method, batch(), step, seed=seed, device=torch.device("cpu"), precision="fp32")
    return [parameter.grad.clone() for parameter in method.parameters()]


def test_the_loop_is_algorithm_1_written_out():
    method, written = siamese(), siamese()
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    seen = []
    encoder = train(
        method,
        optimizer,
        batches=map(batch, range(4)),
        schedule=lambda step: 0.1 * (step + 1),
        steps=4,
        backward=lambda method, batch, step: whole(method, batch, step, seed=0, device=torch.device("cpu"), precision="fp32"),
        check=lambda step, loss, scalars: None,
        on_step=lambda step, loss, scalars: seen.append((step, loss.item())),
    )
    assert encoder is method.backbone
    assert [step for step, _ in seen] == [1, 2, 3, 4]
    for step in range(4):
        x1, x2 = batch(step).views
        z = written.head(written.backbone(torch.cat([x1, x2])))
        loss, _ = NTXent(temperature=0.5)((z[:5], z[5:]))
        assert loss.item() == pytest.approx(seen[step][1], rel=1e-12)
        written.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in written.parameters():
                parameter -= 0.1 * (step + 1) * parameter.grad
    for one, two in zip(method.parameters(), written.parameters(), strict=True):
        assert torch.allclose(one, two, rtol=1e-12)


def test_a_check_that_raises_leaves_the_weights_alone():
    method = siamese()
    before = [parameter.clone() for parameter in method.parameters()]

    def refuse(step, loss, scalars):
        raise UserError("no")

    with pytest.raises(UserError):
        train(
            method,
            torch.optim.SGD(method.parameters(), lr=1.0),
            batches=iter([batch()]),
            schedule=lambda step: 1.0,
            steps=1,
            backward=lambda m, b, s: whole(m, b, s, seed=0, device=torch.device("cpu"), precision="fp32"),
            check=refuse,
        )
    assert all(torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))


def test_a_true_answer_ends_it_and_after_step_hears_the_progress():
    class Teacher(Siamese):
        def __init__(self, *parts):
            super().__init__(*parts)
            self.heard = []

        def after_step(self, progress):
            self.heard.append(progress)

    method = Teacher(Tiny(), nn.Linear(6, 4), NTXent()).double()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    options = {
        "schedule": lambda step: 0.1,
        "steps": 4,
        "backward": lambda m, b, s: whole(m, b, s, seed=0, device=torch.device("cpu"), precision="fp32"),
        "check": lambda step, loss, scalars: None,
    }
    train(method, optimizer, batches=map(batch, range(9)), on_step=lambda step, *_: step == 2, **options)
    assert method.heard == [0.25, 0.5]
    train(method, optimizer, batches=map(batch, range(9)), start=2, **options)
    assert method.heard == [0.25, 0.5, 0.75, 1.0]


def test_lr_scale():
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr_scale": 0.1}], lr=1.0)
    set_lr(optimizer, 3.0)
    assert [group["lr"] for group in optimizer.param_groups] == [3.0, pytest.approx(0.3)]


def test_model_noise_is_a_function_of_seed_and_step():
    method = siamese(dropout=0.5)
    one, same = gradients(method), gradients(method)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    for other in (gradients(method, step=1), gradients(method, seed=1)):
        assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_views_share_one_forward_pass_and_its_batch_statistics():
    method = siamese().train()
    x1, x2 = batch().views
    together = method.project([x1, x2])
    expected = method.head(method.backbone(torch.cat([x1, x2])))
    assert torch.equal(torch.cat(together), expected)
    apart = torch.cat([method.head(method.backbone(x1)), method.head(method.backbone(x2))])
    assert not torch.allclose(torch.cat(together), apart)


def test_views_of_several_sizes_go_through_one_pass_a_size():
    method = siamese().eval()
    views = [*batch().views, torch.rand(5, 3, 6, 6).double()]
    assert [z.shape for z in method.project(views)] == [(5, 4)] * 3


def test_a_loss_gets_what_it_declares_and_no_more():
    class All:
        def __call__(self, zs, labels, indices):
            return sum(z.mean() for z in zs) + labels.sum() * 0 + indices.sum() * 0

    method = siamese(All())
    assert method.num_views is None
    z = [torch.rand(5, 4).double() for _ in range(3)]
    loss, scalars = method.objective(*z, labels=torch.arange(5), indices=torch.arange(5))
    assert loss == sum(one.mean() for one in z)
    assert scalars == {}
    with pytest.raises(UserError, match="All needs labels"):
        method.objective(*z, indices=torch.arange(5))

    class Pair:
        def __call__(self, z1, z2):
            return (z1 - z2).mean()

    assert siamese(Pair()).num_views == 2


def test_a_loss_may_be_a_plain_function_and_name_its_views_in_any_order():
    def swapped(z2, z1):
        return (z1 - 2 * z2).sum()

    method = siamese(swapped)
    z1, z2 = torch.rand(5, 4).double(), torch.rand(5, 4).double()
    assert torch.equal(method.objective(z1, z2)[0], (z1 - 2 * z2).sum())


@pytest.mark.parametrize("wrong", [lambda z1, z2: (z1 - z2).sum(1), lambda z1, z2: 0.5])
def test_a_loss_that_gives_no_scalar_is_named(wrong):
    with pytest.raises(UserError, match="must give a scalar tensor, and gave"):
        siamese(wrong).objective(torch.rand(5, 4), torch.rand(5, 4))


def test_a_method_may_declare_fewer_arguments():
    class Plain(Siamese):
        def objective(self, z1, z2):
            return (z1 - z2).square().mean(), {}

    method = Plain(Tiny(), nn.Linear(6, 4), NTXent()).double()
    loss, _ = whole(method, batch(), 0, seed=0, device=torch.device("cpu"), precision="fp32")
    assert loss > 0


def test_training_gets_better():
    method = siamese()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5, momentum=0.9)
    losses = []
    x = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    alike = Batch([x, x.flip(3)], None, torch.arange(5))
    train(
        method,
        optimizer,
        batches=(alike for _ in range(60)),
        schedule=lambda step: 0.5,
        steps=60,
        backward=lambda m, b, s: whole(m, b, s, seed=0, device=torch.device("cpu"), precision="fp32"),
        check=lambda step, loss, scalars: None,
        on_step=lambda step, loss, scalars: losses.append(loss.item()),
    )
    assert losses[-1] < losses[0] - 0.3


def test_bf16_autocast_runs_the_network_and_keeps_the_loss_in_float32():
    method = siamese().float()
    views = [view.float() for view in batch().views]
    loss, _ = whole(method, Batch(views, None, torch.arange(5)), 0, seed=0, device=torch.device("cpu"), precision="bf16")
    exact, _ = whole(method, Batch(views, None, torch.arange(5)), 0, seed=0, device=torch.device("cpu"), precision="fp32")
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert loss.item() != exact.item()
