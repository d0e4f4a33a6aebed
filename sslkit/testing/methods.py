"""What is asked of a method."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sslkit import gradient
from sslkit.losses.nt_xent import NTXent
from sslkit.testing import modules, ranked
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject
from sslkit.train import train

_N, _STEPS = 8, 4
_CPU = torch.device("cpu")


class _Batch(NamedTuple):
    views: list[Tensor]
    labels: Tensor
    indices: Tensor


class _Sliced(NamedTuple):
    first: list[_Batch]
    second: list[_Batch]
    labels: Tensor
    indices: Tensor


def built(subject: Subject) -> Any:
    """The method around a small backbone and head, with NT-Xent as its loss if it takes one."""
    torch.manual_seed(0)
    return subject.make(backbone=ranked.backbone(), head=ranked.head(), loss=NTXent(temperature=0.5))


def _num_views(method: Any) -> int:
    return max(getattr(method, "num_views", None) or 2, getattr(method, "min_views", 1))


def _batch(method: Any, step: int = 0, rows: slice = slice(0, _N)) -> _Batch:
    drawn = torch.Generator().manual_seed(step)
    views = [torch.rand(_N, 3, 6, 6, generator=drawn, dtype=torch.float64)[rows] for _ in range(_num_views(method))]
    return _Batch(views, (torch.arange(_N) % 3)[rows], torch.arange(_N)[rows])


def _trained(method: Any, steps: range) -> Any:
    """Some steps of plain SGD, as the training loop takes them; schedule and noise are functions of the step."""
    train(
        method,
        torch.optim.SGD([one for one in method.parameters() if one.requires_grad], lr=0.0),
        batches=(_batch(method, step) for step in steps),
        schedule=lambda _: 0.05,
        steps=_STEPS,
        backward=lambda *at: gradient.whole(*at, seed=0, device=_CPU, precision="fp32"),
        check=lambda *_: None,
        start=steps.start,
    )
    return method


def is_a_module_with_its_parts(subject: Subject) -> None:
    """A method is a torch module that keeps `backbone` and `head` under these names."""
    backbone, head = ranked.backbone(), ranked.head()
    method = subject.make(backbone=backbone, head=head, loss=NTXent())
    assert isinstance(method, nn.Module), f"it is a {type(method).__name__}."
    assert getattr(method, "backbone", None) is backbone, "method.backbone is not the backbone that it was given."
    assert getattr(method, "head", None) is head, "method.head is not the head that it was given."


def project_gives_one_row_an_image(subject: Subject) -> None:
    """`project(views)` gives a tuple of tensors with one row an image."""
    method = built(subject).double().train()
    outputs = method.project(_batch(method).views)
    assert isinstance(outputs, tuple), f"it is a {type(outputs).__name__}."
    for number, output in enumerate(outputs):
        assert isinstance(output, Tensor), f"output {number} is a {type(output).__name__}."
        assert len(output) == _N, f"output {number} has {len(output)} rows for {_N} images."


def project_is_local(subject: Subject) -> None:
    """In eval mode an image's outputs do not depend on the other images: `project` is run in slices and on ranks."""
    method = built(subject).double().eval()
    batch = _batch(method)
    with torch.no_grad():
        together = method.project(batch.views)
        alone = method.project([view[:1] for view in batch.views])
    for number, (whole, one) in enumerate(zip(together, alone, strict=True)):
        off = float((whole[:1] - one).abs().max())
        assert off < 1e-9, f"output {number} of an image alone differs by {off:.2g}."


def project_keeps_no_state(subject: Subject) -> None:
    """`project` moves nothing but statistics of norms: with micro-batches it is run twice, so state changes in `objective`."""
    method = built(subject).double().eval()
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    method.project(_batch(method).views)
    moved = [name for name, tensor in method.state_dict().items() if not torch.equal(tensor, before[name])]
    assert not moved, f"{moved[0]} moved."


def objective_gives_a_scalar(subject: Subject) -> None:
    """`objective` gives one finite number and a dict of detached numbers."""
    method = built(subject).double().train()
    batch = _batch(method)
    loss, scalars = gradient.whole(method, batch, 0, seed=0, device=_CPU, precision="fp32")
    assert loss.ndim == 0, f"its form is {tuple(loss.shape)}."
    assert torch.isfinite(loss), f"it is {loss.item()}."
    for name, one in scalars.items():
        assert torch.as_tensor(one).ndim == 0, f"{name} has the form {tuple(one.shape)}."
        assert not torch.as_tensor(one).requires_grad, f"{name} is not detached."


def backbone_is_trained(subject: Subject) -> None:
    """Every parameter of the backbone has a gradient that is not zero."""
    method = built(subject).double().train()
    gradient.whole(method, _batch(method), 0, seed=0, device=_CPU, precision="fp32")
    for name, parameter in method.backbone.named_parameters():
        assert parameter.grad is not None, f"{name} has none."
        assert parameter.grad.any(), f"that of {name} is zero."


def processes_equal_one(subject: Subject) -> None:
    """Two processes with a part of the batch each have the loss and the gradients of one that has it all."""
    ranked.assert_as_one(built, subject)


def micro_batches_equal_the_whole(subject: Subject) -> None:
    """In slices it has the loss and the gradients of the whole batch, with frozen statistics of norms."""
    found = []
    for sliced in (False, True):
        method = built(subject).double().eval()
        slices = [_batch(method, 0, rows) for rows in (slice(0, 5), slice(5, _N))]
        whole = _batch(method)
        batch: Any = _Sliced(slices, slices, whole.labels, whole.indices) if sliced else whole
        backward = gradient.in_micro_batches if sliced else gradient.whole
        loss, _ = backward(method, batch, 0, seed=0, device=_CPU, precision="fp32")
        found.append((loss.item(), {name: one.grad for name, one in method.named_parameters()}))
    (whole_loss, whole_grads), (loss_in_slices, grads_in_slices) = found
    assert abs(whole_loss - loss_in_slices) < 1e-9, f"the loss is {whole_loss} at once, {loss_in_slices} in slices."
    for name, ours in whole_grads.items():
        theirs = grads_in_slices[name]
        if ours is None or theirs is None:
            assert ours is theirs, f"{name} has a gradient in one of them only."
            continue
        off = float((ours - theirs).abs().max())
        assert off < 1e-9, f"the gradient of {name} differs by {off:.2g}."


def resume_is_exact(subject: Subject) -> None:
    """After two steps its `state_dict` is loaded into another one, and both go on to the same bits: all state is in it."""
    first = _trained(built(subject).double().train(), range(2))
    torch.manual_seed(7)
    second = subject.make(backbone=ranked.backbone(), head=ranked.head(), loss=NTXent(temperature=0.5)).double().train()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for method in (first, second):
        _trained(method, range(2, _STEPS))
    theirs = second.state_dict()
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, theirs[name]), f"{name} differs two steps later."


def after_step_takes_the_progress(subject: Subject) -> None:
    """`after_step(progress)`, if there is one, is called with the share of the training that is done, in (0, 1]."""
    method = built(subject).double().train()
    after_step = getattr(method, "after_step", None)
    if after_step is not None:
        for progress in (0.01, 0.5, 1.0):
            with no_error(f"after_step({progress})"):
                after_step(progress)


def tensors_move_with_it(subject: Subject) -> None:
    """Tensors that it keeps are parameters or buffers, so that `.to` takes them to a device or a type."""
    modules.assert_tensors_move(built(subject))


CHECKS = (
    is_a_module_with_its_parts,
    project_gives_one_row_an_image,
    project_is_local,
    project_keeps_no_state,
    objective_gives_a_scalar,
    backbone_is_trained,
    processes_equal_one,
    micro_batches_equal_the_whole,
    resume_is_exact,
    after_step_takes_the_progress,
    tensors_move_with_it,
    cites_a_source,
)
