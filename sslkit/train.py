"""The training loop: Algorithm 1 of SimCLR (arXiv:2002.05709), all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

Scalars = dict[str, Tensor]


def train(
    method: Any,
    optimizer: torch.optim.Optimizer,
    *,
    batches: Iterable[Any],
    schedule: Callable[[int], float],
    steps: int,
    backward: Callable[..., tuple[Tensor, Scalars]],
    check: Callable[[int, Tensor, Scalars], None],
    on_step: Callable[[int, Tensor, Scalars], bool | None] = lambda *_: None,
    start: int = 0,
) -> nn.Module:
    """Train `method` from step `start` to `steps` and give back its encoder f; the head g is thrown away.

    Args:
        method: `project`, `objective`, optionally `after_step(progress)`, and a `backbone`.
        optimizer: its groups' `lr` is set to `schedule(step) * lr_scale` before each step.
        batches: the batches of steps `start`, `start + 1`, ...
        schedule: step -> learning rate, a pure function.
        steps: total number of steps.
        backward: `(method, batch, step) -> (loss, scalars)`, leaving the gradients in the parameters.
        check: called with the step, its loss and scalars, and with the gradients in place, before anything is changed; it stops
            the training by raising.
        on_step: called after each step with the number of steps done; a true answer ends the training.
        start: steps done already.
    """
    after_step = getattr(method, "after_step", None)
    for step, batch in zip(range(start, steps), batches, strict=False):  # sample {x_k}; draw t, t' ~ T for every x
        set_lr(optimizer, schedule(step))
        loss, scalars = backward(method, batch, step)  # h = f(view), z = g(h), L = mean of l(z, z'); gradients of L
        check(step, loss, scalars)
        optimizer.step()  # update f and g
        optimizer.zero_grad()
        if after_step is not None:
            after_step((step + 1) / steps)  # a momentum teacher follows; SimCLR has none
        if on_step(step + 1, loss, scalars):
            break
    backbone: nn.Module = method.backbone
    return backbone  # keep f, throw away g


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every group, scaled by the group's own `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
