"""What backbones and heads are both asked: of a torch module that takes a batch and gives one row for each of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sslkit.testing.failures import no_error


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
        with torch.no_grad(), no_error(f"a batch of {n}"):
            found = len(module(batch(n)))
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
    with no_error("load_state_dict"):
        second.load_state_dict(first.state_dict())
    with torch.no_grad():
        off = float((first.eval()(x) - second.eval()(x)).abs().max())
    assert off == 0, f"they differ by {off:.2g}."


def assert_own_copy(module: Any, x: Tensor) -> None:
    """A copy that is made after a step computes the same, and shares no parameter or buffer."""
    module.train()(x)
    with no_error("copy.deepcopy after a batch"):
        copied = copy.deepcopy(module)
    shared = {id(one) for one in _state(module)} & {id(one) for one in _state(copied)}
    assert not shared, "the copy shares parameters or buffers with the original."
    with torch.no_grad():
        off = float((module.eval()(x) - copied.eval()(x)).abs().max())
    assert off == 0, f"the copy gives other numbers, off by {off:.2g}."


def _state(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def assert_tensors_move(component: Any) -> None:
    """No tensor lies in an attribute where torch does not know of it, in the component itself or in a module inside of it."""
    owners = component.named_modules() if isinstance(component, nn.Module) else [("", component)]
    for prefix, owner in owners:
        own = {key: value for key, value in getattr(owner, "__dict__", {}).items() if key not in _KNOWN_TO_TORCH}
        for name in _tensors(own, prefix):
            raise AssertionError(f"{name} is a tensor, and neither a parameter nor a buffer.")


_KNOWN_TO_TORCH = ("_parameters", "_buffers", "_modules")


def _tensors(value: Any, name: str) -> Iterator[str]:
    """The names under which tensors lie in a value, or in a list, tuple or dict of it."""
    if isinstance(value, Tensor):
        yield name
    inside = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, one in inside:
        yield from _tensors(one, f"{name}.{key}".removeprefix("."))
