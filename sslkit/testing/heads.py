"""What is asked of a head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sslkit.testing import modules
from sslkit.testing.subject import Subject

_IN_DIM = 24


def _h(n: int) -> Tensor:
    return torch.randn(n, _IN_DIM, generator=torch.Generator().manual_seed(n))


def _made(subject: Subject) -> Any:
    torch.manual_seed(0)
    return subject.make(in_dim=_IN_DIM)


def width_is_declared(subject: Subject) -> None:
    """It gives one row `z (k,)` a representation, and its `out_dim` is that k."""
    modules.assert_width(_made(subject).eval(), _h(3))


def any_batch_size_is_taken(subject: Subject) -> None:
    """Frozen, it takes one representation as well as many."""
    modules.assert_any_batch_size(_made(subject).eval(), _h)


def rows_do_not_depend_on_the_batch(subject: Subject) -> None:
    """In eval mode a z is the same in whatever batch its h is, and again when it is asked for again."""
    modules.assert_rows_alone(_made(subject), _h(5))


def eval_mode_changes_nothing(subject: Subject) -> None:
    """In eval mode no weight and no buffer moves."""
    modules.assert_nothing_moves(_made(subject), _h(4))


def gradients_reach_every_parameter(subject: Subject) -> None:
    """Every parameter has a gradient; one that has none is decayed for nothing, and stops several processes."""
    made = _made(subject)
    if any(one.requires_grad for one in made.parameters()):
        modules.assert_gradients(made, _h(6))


def gradients_reach_the_backbone(subject: Subject) -> None:
    """A gradient of z becomes one of h: else nothing would be learnt below the head."""
    h = _h(6).requires_grad_()
    z = _made(subject).train()(h)
    assert z.requires_grad, "z has no gradient by h."
    (z * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert h.grad is not None, "h has no gradient."
    assert h.grad.any(), "the gradient of h is zero."


def seed_decides_the_weights(subject: Subject) -> None:
    """Built twice after the same `torch.manual_seed` it has the same weights: all chance is torch's."""
    modules.assert_same_weights(_made(subject), _made(subject))


def state_is_all_there_is(subject: Subject) -> None:
    """A copy that loads its `state_dict` computes the same: nothing that matters is kept elsewhere."""
    first = _made(subject)
    with torch.no_grad():
        first.train()(_h(6))
    torch.manual_seed(1)
    modules.assert_same_after_loading(first, subject.make(in_dim=_IN_DIM), _h(4))


def copies_are_independent(subject: Subject) -> None:
    """`copy.deepcopy` after a batch gives a head of its own that computes the same: teachers are copies."""
    modules.assert_own_copy(_made(subject), _h(6))


def tensors_move_with_it(subject: Subject) -> None:
    """Tensors that it keeps are parameters or buffers, so that `.to` takes them to a device or a type."""
    modules.assert_tensors_move(_made(subject))


def layers_lead_to_the_output(subject: Subject) -> None:
    """Where it has `layers`, one after the other they give what it gives."""
    made = _made(subject).eval()
    layers = getattr(made, "layers", None)
    if layers is None:
        return
    with torch.no_grad():
        x = _h(4)
        for layer in layers:
            x = layer(x)
        off = float((x - made(_h(4))).abs().max())
    assert off == 0, f"they differ by {off:.2g}."


CHECKS = (
    width_is_declared,
    any_batch_size_is_taken,
    rows_do_not_depend_on_the_batch,
    eval_mode_changes_nothing,
    gradients_reach_every_parameter,
    gradients_reach_the_backbone,
    seed_decides_the_weights,
    state_is_all_there_is,
    copies_are_independent,
    tensors_move_with_it,
    layers_lead_to_the_output,
)
