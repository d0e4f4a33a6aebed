"""What is asked of an optimizer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslkit import checkpoint
from sslkit.roles import parameter_groups
from sslkit.testing.every_kind import cites_a_source
from sslkit.testing.failures import no_error
from sslkit.testing.subject import Subject
from sslkit.train import set_lr


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))


def _made(subject: Subject, network: nn.Module, lr: float = 0.05) -> Any:
    return subject.make(groups=parameter_groups(network), lr=lr)


def _loss(network: nn.Module, step: int = 0) -> Tensor:
    drawn = torch.Generator().manual_seed(step)
    x = torch.randn(32, 6, generator=drawn)
    loss: Tensor = ((network(x) - x[:, :3]) ** 2).mean()
    return loss


def _steps(network: nn.Module, optimizer: Any, steps: range, lr: float = 0.05) -> None:
    for step in steps:
        set_lr(optimizer, lr)
        torch.autograd.backward(_loss(network, step))
        optimizer.step()
        optimizer.zero_grad()


def is_one_of_torch(subject: Subject) -> None:
    """The class is a `torch.optim.Optimizer`, whose groups keep their names, role and lr_scale."""
    optimizer = _made(subject, _network())
    assert isinstance(optimizer, torch.optim.Optimizer), f"it is a {type(optimizer).__name__}."
    for group in optimizer.param_groups:
        assert {"params", "names", "role", "lr_scale", "lr"} <= set(group), f"a group has only {sorted(group)}."
        assert len(group["names"]) == len(group["params"]), "a group has not a name for each parameter."


def loss_goes_down(subject: Subject) -> None:
    """A small regression is learnt: after 60 steps its loss is less than at the start."""
    best = float("inf")
    before = _loss(_network(), 999).item()
    for lr in (0.5, 0.05, 0.005):
        network = _network()
        _steps(network, _made(subject, network, lr), range(60), lr)
        best = min(best, _loss(network, 999).item())
    assert best < 0.9 * before, f"it is {before:.3f} at the start, and {best:.3f} after the steps."


def learning_rate_is_heard(subject: Subject) -> None:
    """A group's `lr` is read at each step: the loop sets it, and at 0 no weight moves."""
    network = _network()
    optimizer = _made(subject, network)
    before = [one.detach().clone() for one in network.parameters()]
    _steps(network, optimizer, range(2), lr=0.0)
    still = all(torch.equal(one, old) for one, old in zip(network.parameters(), before, strict=True))
    assert still, "weights moved at a learning rate of 0."
    _steps(network, optimizer, range(1))
    moved = any(not torch.equal(one, old) for one, old in zip(network.parameters(), before, strict=True))
    assert moved, "no weight moved at a learning rate of 0.05."


def state_round_trips(subject: Subject) -> None:
    """What it keeps for a parameter comes back from a checkpoint bit for bit: tensors of the same type as the parameter."""
    network = _network()
    optimizer = _made(subject, network)
    _steps(network, optimizer, range(3))
    with no_error("a checkpoint"):
        before = {name: tensor.clone() for name, tensor in checkpoint.state(network, optimizer).items()}
        other, resumed = _resumed(subject, network, optimizer)
        after = checkpoint.state(other, resumed)
    assert before.keys() == after.keys(), f"{sorted(before.keys() ^ after.keys())[0]} is in one of them only."
    for name, tensor in before.items():
        found = after[name]
        assert tensor.dtype == found.dtype, f"{name} is {tensor.dtype} before, {found.dtype} after."
        assert torch.equal(tensor, found), f"{name} differs."


def _resumed(subject: Subject, network: nn.Module, optimizer: Any) -> tuple[nn.Module, Any]:
    """Another network and optimizer that take up a checkpoint of these."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.safetensors"
        checkpoint.save(path, checkpoint.state(network, optimizer), {"step": 3})
        other = _network()
        resumed = _made(subject, other)
        checkpoint.restore(checkpoint.load(path), other, resumed)
    return other, resumed


def resume_is_exact(subject: Subject) -> None:
    """Saved and restored by a checkpoint it goes on to the same bits: what it remembers are tensors of a parameter's state."""
    network = _network()
    optimizer = _made(subject, network)
    _steps(network, optimizer, range(3))
    other, resumed = _resumed(subject, network, optimizer)
    _steps(network, optimizer, range(3, 6))
    _steps(other, resumed, range(3, 6))
    theirs = other.state_dict()
    for name, ours in network.state_dict().items():
        off = float((ours - theirs[name]).abs().max())
        assert torch.equal(ours, theirs[name]), f"{name} differs by {off:.2g} three steps later."


def same_steps_same_bits(subject: Subject) -> None:
    """The same steps from the same weights give the same bits."""
    found = []
    for _ in range(2):
        network = _network()
        _steps(network, _made(subject, network), range(4))
        found.append(torch.cat([one.detach().flatten() for one in network.parameters()]))
    assert torch.equal(*found), f"they differ by {float((found[0] - found[1]).abs().max()):.2g}."


def parameters_without_gradient_stay(subject: Subject) -> None:
    """A parameter that has no gradient in a step is left alone in it, not decayed."""
    network = _network()
    optimizer = _made(subject, network)
    torch.autograd.backward(_loss(network))
    still = next(iter(network.parameters()))
    still.grad = None
    before = still.detach().clone()
    optimizer.step()
    assert torch.equal(still, before), "it moved."


def memory_layout_is_irrelevant(subject: Subject) -> None:
    """Channels-last weights of convolutions, with gradients of either layout, are updated as others are."""
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        network = nn.Conv2d(4, 4, 3).to(memory_format=layout)
        optimizer = _made(subject, network)
        for step in range(3):
            drawn = torch.Generator().manual_seed(step)
            for parameter in network.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=drawn)
            optimizer.step()
        found.append(network.weight.detach().clone())
    off = float((found[0] - found[1]).abs().max())
    assert off < 1e-6, f"they differ by {off:.2g}."


CHECKS = (
    is_one_of_torch,
    loss_goes_down,
    learning_rate_is_heard,
    state_round_trips,
    resume_is_exact,
    same_steps_same_bits,
    parameters_without_gradient_stay,
    memory_layout_is_irrelevant,
    cites_a_source,
)
