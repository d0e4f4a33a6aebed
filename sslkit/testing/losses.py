"""What is asked of a loss."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sslkit.errors import UserError
from sslkit.methods.siamese import Siamese
from sslkit.testing import ranked
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.subject import Subject

N, K = 12, 16  # images, and numbers in a projection


def _views(noise: float = 0.3, *, n: int = N, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Two views `(n, k)` of n images, as alike as the noise lets them."""
    drawn = torch.Generator().manual_seed(seed)
    image = torch.randn(n, K, generator=drawn, dtype=torch.float64)
    views = [image + noise * torch.randn(n, K, generator=drawn, dtype=torch.float64) for _ in range(2)]
    return [view.to(dtype).requires_grad_() for view in views]


def _value(loss: Any, views: Sequence[Tensor], rows: Tensor | None = None) -> Tensor:
    """The loss as the framework calls it; four classes of images, which `rows` reorders."""
    order = torch.arange(len(views[0])) if rows is None else rows
    method = Siamese(nn.Identity(), nn.Identity(), loss)
    value: Tensor = method.objective(*views, labels=order % 4, indices=order)[0]
    return value


def gives_a_scalar(subject: Subject) -> None:
    """A loss gives one number, or that and a dict of detached numbers to be logged."""
    loss = subject.make()
    method = Siamese(nn.Identity(), nn.Identity(), loss)
    value, scalars = method.objective(*_views(), labels=torch.arange(N) % 4, indices=torch.arange(N))
    assert value.is_floating_point(), f"it is a {value.dtype}."
    for name, one in scalars.items():
        assert isinstance(name, str), f"{name!r} is no name."
        assert torch.as_tensor(one).ndim == 0, f"{name} has the shape {tuple(one.shape)}."
        assert not torch.as_tensor(one).requires_grad, f"{name} is not detached."


def gradients_are_finite_and_reach_every_view(subject: Subject) -> None:
    """Value and gradients are finite, and every view has a gradient."""
    views = _views()
    value = _value(subject.make(), views)
    torch.autograd.backward(value)
    assert torch.isfinite(value), f"the loss is {value.item()}."
    for number, view in enumerate(views, start=1):
        assert view.grad is not None, f"z{number} has no gradient."
        assert view.grad.any(), f"the gradient of z{number} is zero."
        assert torch.isfinite(view.grad).all(), f"the gradient of z{number} is not finite."


def order_of_images_is_irrelevant(subject: Subject) -> None:
    """Which row an image has in the batch changes nothing: rows are dealt out to processes."""
    loss, views = subject.make(), _views(dtype=torch.float64)
    rows = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    straight, mixed = _value(loss, views).item(), _value(loss, [view[rows] for view in views], rows).item()
    assert abs(straight - mixed) <= 1e-6 * max(1.0, abs(straight)), f"{straight} in one order, {mixed} in another."


def matched_views_cost_less(subject: Subject) -> None:
    """Views of the same image cost less than views that are dealt out at random, by a margin."""
    loss = subject.make()
    with torch.no_grad():
        matched = sum(_value(loss, _views(seed=seed)).item() for seed in range(5)) / 5
        costs = []
        for seed in range(5):
            z1, z2 = _views(seed=seed)
            costs.append(_value(loss, [z1, z2.roll(1, dims=0)]).item())
    shuffled = sum(costs) / 5
    assert shuffled - matched > 1e-3 * max(abs(shuffled), abs(matched)), f"matched cost {matched}, shuffled {shuffled}."


def gradient_is_the_derivative(subject: Subject) -> None:
    """In float64 the gradient is that of finite differences (`torch.autograd.gradcheck`)."""
    loss = subject.make()
    loss = loss.double() if isinstance(loss, nn.Module) else loss
    views = _views(n=5, dtype=torch.float64)
    try:
        torch.autograd.gradcheck(lambda *given: _value(loss, given), views, eps=1e-6, atol=1e-5, rtol=1e-4)
    except torch.autograd.gradcheck.GradcheckError as error:  # type: ignore[attr-defined]
        raise AssertionError(str(error).strip().splitlines()[0]) from error


def autocast_changes_little(subject: Subject) -> None:
    """Under bf16 autocast value and gradient stay close: a loss computes in float32 whatever the network computed in."""
    found = []
    for low in (False, True):
        views = _views()
        given = [view.bfloat16() for view in views]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            value = _value(subject.make(), given if low else [view.float() for view in given])
        torch.autograd.backward(value)
        found.append((value.float().item(), torch.cat([view.grad for view in views if view.grad is not None])))
    (exact, by_exact), (coarse, by_coarse) = found
    assert abs(exact - coarse) <= 0.01 * max(1.0, abs(exact)), f"{exact} in float32, {coarse} under autocast."
    off = ((by_exact - by_coarse).norm() / by_exact.norm()).item()
    assert off <= 0.05, f"the gradient is off by {off:.1%}."


def degenerate_batches_are_survived(subject: Subject) -> None:
    """A batch of one image, of equal rows, or of zeros gives finite numbers; if one image is too few, a UserError says so."""
    same, zeros = torch.ones(N, K), torch.zeros(N, K)
    cases = {"one image": [view.detach() for view in _views(n=1)], "equal rows": [same, same], "zeros": [zeros, zeros]}
    for name, given in cases.items():
        views = [view.clone().requires_grad_() for view in given]
        try:
            value = _value(subject.make(), views)
        except UserError:
            assert name == "one image", f"{name}: is refused."
            continue
        assert torch.isfinite(value), f"{name}: the loss is {value.item()}."
        if value.requires_grad:
            torch.autograd.backward(value)
        finite = all(view.grad is None or bool(torch.isfinite(view.grad).all()) for view in views)
        assert finite, f"{name}: the gradient is not finite."


def processes_equal_one(subject: Subject) -> None:
    """Two processes with half of a batch each have the loss and the gradients of one that has it all."""
    ranked.assert_as_one(_in_a_network, subject)


def _in_a_network(subject: Subject) -> nn.Module:
    torch.manual_seed(0)
    return Siamese(ranked.backbone(), ranked.head(), subject.make())


def pickles(subject: Subject) -> None:
    """It goes through pickle and, if it is a module, through `.to`, and stays what it was."""
    loss, views = subject.make(), _views(dtype=torch.float64)
    loss = loss.to(torch.float64) if isinstance(loss, nn.Module) else loss
    before, after = _value(loss, views).item(), _value(pickle.loads(pickle.dumps(loss)), views).item()
    assert before == after, f"{before} before, {after} after."


CHECKS = (
    gives_a_scalar,
    gradients_are_finite_and_reach_every_view,
    order_of_images_is_irrelevant,
    matched_views_cost_less,
    gradient_is_the_derivative,
    autocast_changes_little,
    degenerate_batches_are_survived,
    processes_equal_one,
    pickles,
    cites_a_source,
)
