"""What backbones and heads are both asked: of a torch module that takes a batch and gives one row for each of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def assert_width(module: Any, x: Tensor) -> None:
    """The output is `(n, out_dim)`."""
    assert isinstance(module, nn.Module), f"it is no torch module but {type(module).__name__}."
    declared = getattr(module, "out_dim", None)
    assert isinstance(declared, int), f"out_dim is {declared!r}."
    with torch.no_grad():
        found = tuple(module(x).shape)
    assert found == (len(x), declared), f"out_dim is {declared}, and {len(x)} images gave {found}."


def assert_any_batch_size(module: Any, batch: Callable[[int], Tensor]) -> None:
    """Batches of 1, 2 and 5 give as many rows."""
    for n in (1, 2, 5):
        with torch.no_grad():
            try:
                found = len(module(batch(n)))
            except Exception as error:
                raise AssertionError(f"a batch of {n}: {type(error).__name__}: {error}") from error
        assert found == n, f"a batch of {n} gave {found} rows."


def assert_rows_alone(module: Any, x: Tensor) -> None:
    """In eval mode each row is what it is alone."""
    module.train()
    with torch.no_grad():
        module(x * 3)  # statistics that are not those of the start
        module.eval()
        together, again = module(x), module(x)
        alone = torch.cat([module(row[None]) for row in x])
    assert torch.equal(together, again), "the same batch gave other numbers the second time."
    off = float((together - alone).abs().max())
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4), f"a row alone differs by {off:.2g} from the row in a batch."


def assert_nothing_moves(module: Any, x: Tensor) -> None:
    """In eval mode the state stays."""
    module.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module(x)
    moved = [name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])]
    assert not moved, f"{moved[0]} moved."


def assert_gradients(module: Any, x: Tensor) -> None:
    """Every trainable parameter has a gradient that is not zero, once no weight is at a special place such as zero."""
    module.train()
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=drawn))
    out = module(x)
    (out * torch.randn(out.shape, generator=drawn)).sum().backward()
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} has none."
            assert torch.isfinite(parameter.grad).all(), f"that of {name} is not finite."
            assert parameter.grad.any(), f"that of {name} is zero everywhere."


def assert_same_weights(first: Any, second: Any) -> None:
    """Two builds from the same seed are equal."""
    theirs = second.state_dict()
    differing = [name for name, tensor in first.state_dict().items() if not torch.equal(tensor, theirs[name])]
    assert not differing, f"{differing[0]} differs."


def assert_same_after_loading(first: Any, second: Any, x: Tensor) -> None:
    """What one says, the other says once it has the first one's state."""
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        off = float((first.eval()(x) - second.eval()(x)).abs().max())
    assert off == 0, f"they differ by {off:.2g}."
