"""What is asked of a backbone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sslkit import signatures
from sslkit.testing import modules
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject


def _images(subject: Subject, n: int, channels: int = 3) -> Tensor:
    return torch.rand(n, channels, subject.size, subject.size, generator=torch.Generator().manual_seed(n))


def _made(subject: Subject, channels: int = 3) -> Any:
    torch.manual_seed(0)
    return subject.make(in_channels=channels)


def width_is_declared(subject: Subject) -> None:
    """It gives one row `h (d,)` an image, and its `out_dim` is that d."""
    modules.assert_width(_made(subject).eval(), _images(subject, 2))


def any_batch_size_is_taken(subject: Subject) -> None:
    """Frozen, it takes one image as well as many."""
    modules.assert_any_batch_size(_made(subject).eval(), lambda n: _images(subject, n))


def rows_do_not_depend_on_the_batch(subject: Subject) -> None:
    """In eval mode an image's h is the same in whatever batch it is, and again when it is asked for again."""
    modules.assert_rows_alone(_made(subject), _images(subject, 5))


def eval_mode_changes_nothing(subject: Subject) -> None:
    """In eval mode no weight and no buffer moves."""
    modules.assert_nothing_moves(_made(subject), _images(subject, 4))


def gradients_reach_every_parameter(subject: Subject) -> None:
    """Every parameter has a gradient; one that has none is decayed for nothing, and stops several processes."""
    modules.assert_gradients(_made(subject), _images(subject, 4))


def gray_images_are_taken(subject: Subject) -> None:
    """If it declares `in_channels` it takes images of one channel with `in_channels = 1`."""
    init = signatures.constructor(subject.load())
    if init is None or "in_channels" not in signatures.declared(init, {"in_channels": 1}):
        return
    with torch.no_grad(), no_error("images of one channel"):
        made = _made(subject, channels=1).eval()
        found = tuple(made(_images(subject, 2, channels=1)).shape)
    assert found == (2, made.out_dim), f"2 images gave {found}."


def memory_layout_is_irrelevant(subject: Subject) -> None:
    """Channels-last images, as the loader hands them over, give what others give."""
    made, images = _made(subject).eval(), _images(subject, 3)
    with torch.no_grad(), no_error("channels-last images"):
        plain, last = made(images), made(images.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(plain, last, rtol=1e-3, atol=1e-4), f"they differ by {float((plain - last).abs().max()):.2g}."


def seed_decides_the_weights(subject: Subject) -> None:
    """Built twice after the same `torch.manual_seed` it has the same weights: all chance is torch's."""
    modules.assert_same_weights(_made(subject), _made(subject))


def state_is_all_there_is(subject: Subject) -> None:
    """A copy that loads its `state_dict` computes the same: nothing that matters is kept elsewhere."""
    first = _made(subject)
    with torch.no_grad():
        first.train()(_images(subject, 4))  # running statistics that are not those of the start
    torch.manual_seed(1)
    modules.assert_same_after_loading(first, subject.make(in_channels=3), _images(subject, 3))


def low_precision_is_finite(subject: Subject) -> None:
    """Under bf16 autocast it gives finite numbers near those of float32."""
    made, images = _made(subject).eval(), _images(subject, 3)
    with torch.no_grad():
        exact = made(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            coarse = made(images).float()
    assert torch.isfinite(coarse).all(), "some are not finite."
    off = float((exact - coarse).norm() / exact.norm())
    assert off < 0.1, f"they are off by {off:.0%}."


def copies_are_independent(subject: Subject) -> None:
    """`copy.deepcopy` after a batch gives a network of its own that computes the same: evaluations and teachers are copies."""
    modules.assert_own_copy(_made(subject), _images(subject, 4))


def tensors_move_with_it(subject: Subject) -> None:
    """Tensors that it keeps are parameters or buffers, so that `.to` takes them to a device or a type."""
    modules.assert_tensors_move(_made(subject))


CHECKS = (
    width_is_declared,
    any_batch_size_is_taken,
    rows_do_not_depend_on_the_batch,
    eval_mode_changes_nothing,
    gradients_reach_every_parameter,
    gray_images_are_taken,
    memory_layout_is_irrelevant,
    seed_decides_the_weights,
    state_is_all_there_is,
    low_precision_is_finite,
    copies_are_independent,
    tensors_move_with_it,
    cites_a_source,
)
