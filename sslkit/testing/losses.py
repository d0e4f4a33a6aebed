"""What is asked of a loss."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError, gradcheck

from sslkit.errors import ContractError, UserError
from sslkit.methods.siamese import Siamese
from sslkit.testing import modules, ranked
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject

N, K = 12, 16  # images, and numbers in a projection


def _made(subject: Subject) -> Any:
    torch.manual_seed(0)
    return subject.make()


def _views(
    subject: Subject, noise: float = 0.3, *, n: int = N, seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Views `(n, k)` of n images, two or as many as the loss needs, as alike as the noise lets them."""
    drawn = torch.Generator().manual_seed(seed)
    num_views = max(2, getattr(subject.load(), "min_views", 1))
    image = torch.randn(n, K, generator=drawn, dtype=torch.float64)
    views = [image + noise * torch.randn(n, K, generator=drawn, dtype=torch.float64) for _ in range(num_views)]
    return [view.to(dtype).requires_grad_() for view in views]


def _called(loss: Any, views: Sequence[Tensor], rows: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
    """What the framework gets of the loss; the images are of four classes, and `rows` reorders them."""
    order = torch.arange(len(views[0])) if rows is None else rows
    method = Siamese(nn.Identity(), nn.Identity(), loss)
    found: tuple[Tensor, dict[str, Tensor]] = method.objective(*views, labels=order % 4, indices=order)
    return found


def _value(loss: Any, views: Sequence[Tensor], rows: Tensor | None = None) -> Tensor:
    return _called(loss, views, rows)[0]


def gives_a_scalar(subject: Subject) -> None:
    """A loss gives one number, or that and a dict of detached numbers to be logged."""
    try:
        value, scalars = _called(_made(subject), _views(subject))
    except ContractError as error:
        raise AssertionError(str(error)) from error
    assert value.is_floating_point(), f"it is a {value.dtype}."
    for name, one in scalars.items():
        assert isinstance(name, str), f"{name!r} is no name."
        assert torch.as_tensor(one).ndim == 0, f"{name} has the shape {tuple(one.shape)}."
        assert not torch.as_tensor(one).requires_grad, f"{name} is not detached."


def gradients_are_finite_and_reach_every_view(subject: Subject) -> None:
    """Value and gradients are finite, and every view has a gradient."""
    views = _views(subject)
    value = _value(_made(subject), views)
    assert torch.isfinite(value), f"the loss is {value.item()}."
    assert value.requires_grad, "the loss has no gradient by any view."
    torch.autograd.backward(value)
    for number, view in enumerate(views, start=1):
        assert view.grad is not None, f"z{number} has no gradient."
        assert view.grad.any(), f"the gradient of z{number} is zero."
        assert torch.isfinite(view.grad).all(), f"the gradient of z{number} is not finite."


def order_of_images_is_irrelevant(subject: Subject) -> None:
    """Which row an image has in the batch changes nothing: rows are dealt out to processes."""
    loss, views = _made(subject), _views(subject, dtype=torch.float64)
    rows = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    straight, mixed = _value(loss, views).item(), _value(loss, [view[rows] for view in views], rows).item()
    assert abs(straight - mixed) <= 1e-6 * max(1.0, abs(straight)), f"{straight} in one order, {mixed} in another."


def matched_views_cost_less(subject: Subject) -> None:
    """Views of the same image cost less than views that are dealt out at random, by a margin."""
    loss = _made(subject)
    with torch.no_grad():
        matched = sum(_value(loss, _views(subject, seed=seed)).item() for seed in range(5)) / 5
        costs = []
        for seed in range(5):
            dealt = [view.roll(number, dims=0) for number, view in enumerate(_views(subject, seed=seed))]
            costs.append(_value(loss, dealt).item())
    shuffled = sum(costs) / 5
    assert shuffled - matched > 1e-3 * max(abs(shuffled), abs(matched)), f"matched cost {matched}, shuffled {shuffled}."


def gradient_is_the_derivative(subject: Subject) -> None:
    """In float64 the gradient is that of finite differences (`torch.autograd.gradcheck`)."""
    loss = _made(subject)
    loss = loss.double() if isinstance(loss, nn.Module) else loss
    views = _views(subject, n=5, dtype=torch.float64)
    try:
        gradcheck(lambda *given: _value(loss, given), views, eps=1e-6, atol=1e-5, rtol=1e-4)
    except GradcheckError as error:
        raise AssertionError(str(error).strip().splitlines()[0]) from error


def autocast_changes_little(subject: Subject) -> None:
    """Under bf16 autocast value and gradient stay close: a loss computes in float32 whatever the network computed in."""
    found = []
    for low in (False, True):
        views = _views(subject)
        given = [view.bfloat16() for view in views]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            value = _value(_made(subject), given if low else [view.float() for view in given])
        torch.autograd.backward(value)
        found.append((value.float().item(), torch.cat([view.grad for view in views if view.grad is not None])))
    (exact, by_exact), (coarse, by_coarse) = found
    assert abs(exact - coarse) <= 0.01 * max(1.0, abs(exact)), f"{exact} in float32, {coarse} under autocast."
    off = ((by_exact - by_coarse).norm() / by_exact.norm()).item()
    assert off <= 0.05, f"the gradient is off by {off:.1%}."


def degenerate_batches_are_survived(subject: Subject) -> None:
    """A batch of one image, of equal rows, or of zeros gives finite numbers; if one image is too few, a UserError says so."""
    one = [view.detach() for view in _views(subject, n=1)]
    same, zeros = torch.ones(N, K), torch.zeros(N, K)
    for name, given in {"one image": one, "equal rows": [same] * len(one), "zeros": [zeros] * len(one)}.items():
        views = [view.clone().requires_grad_() for view in given]
        with no_error(name):
            try:
                value = _value(_made(subject), views)
            except UserError:
                assert name == "one image", f"{name}: is refused."
                continue
            assert torch.isfinite(value), f"{name}: the loss is {value.item()}."
            if value.requires_grad:
                torch.autograd.backward(value)
        finite = all(view.grad is None or bool(torch.isfinite(view.grad).all()) for view in views)
        assert finite, f"{name}: the gradient is not finite."


def processes_equal_one(subject: Subject) -> None:
    """Two processes with a part of the batch each have the loss and the gradients of one that has it all."""
    ranked.assert_as_one(_in_a_network, subject)


def _in_a_network(subject: Subject) -> nn.Module:
    torch.manual_seed(0)
    return Siamese(ranked.backbone(), ranked.head(), subject.make())


def pickles(subject: Subject) -> None:
    """It goes through pickle and stays what it was."""
    loss, views = _made(subject), _views(subject, dtype=torch.float64)
    with no_error("pickle"):
        copied = pickle.loads(pickle.dumps(loss))
    before, after = _value(loss, views).item(), _value(copied, views).item()
    assert before == after, f"{before} before, {after} after."


def tensors_move_with_it(subject: Subject) -> None:
    """Tensors that it keeps are parameters or buffers of a torch module, so that `.to` takes them to a device or a type."""
    modules.assert_tensors_move(_made(subject))


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
    tensors_move_with_it,
    cites_a_source,
)
