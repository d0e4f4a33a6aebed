"""LARS: momentum SGD in which every layer moves by a step in proportion to the size of its own weights.

With very large batches one learning rate for all layers is too large for some and too small for others. LARS looks at each
weight tensor on its own and scales its gradient by a *trust ratio*, so that its step is a set fraction of the weight's norm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any, overload

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor
from torch.optim.optimizer import ParamsT

from sslkit.errors import UserError
from sslkit.optimizers.exclusion import Role, exempt


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling (arXiv:1708.03888), exactly as the SimCLR authors' code has it.

    For a tensor w with gradient g, weight decay c, momentum m, trust coefficient k and v = 0 at the start:

        g <- g + c w
        r  = k |w| / |g|            1 where |w| or |g| is zero, and for excluded roles
        v <- m v + lr r g
        w <- w - v                  Nesterov: w - (m v + lr r g)

    With `lr_inside_momentum = false` the second half is `v <- m v + g`, `u = v` (Nesterov: `g + m v`), `w <- w - lr r u` with
    r = k |w| / |u|. The two differ whenever lr changes, and so in every warm-up.

    An excluded tensor is neither decayed nor adapted: plain momentum SGD at the full learning rate. A weight decay of 0 doesn't
    switch the adaptation off. The LARS paper divides by |g| + c |w| instead of |g + c w|; we keep to the code, from which the
    numbers of SimCLR (arXiv:2002.05709, section 2.3) come. A norm is over a whole tensor, not over one filter.

    Args:
        groups: dicts `{params, names, role, lr_scale}`, or plain parameters, which all count as weights.
        lr: learning rate; the loop sets it anew before every step.
        momentum: share of the velocity that is kept.
        weight_decay: strength of the pull towards zero; 1e-6 is the paper's, the official code's commands have 1e-4.
        trust_coefficient: the step's norm as a fraction of the weight's norm, at lr 1.
        nesterov: look ahead along the velocity.
        lr_inside_momentum: whether the velocity holds learning rate and trust ratio of past steps.
        exclude: roles that are neither decayed nor adapted.

    Raises:
        UserError: no parameter, an unknown role, or, in `step`, a sparse gradient.
    """

    def __init__(
        self,
        groups: ParamsT,
        lr: float,
        *,
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.9,
        weight_decay: Annotated[float, Ge(0)] = 1e-6,
        trust_coefficient: Annotated[float, Gt(0)] = 0.001,
        nesterov: bool = False,
        lr_inside_momentum: bool = True,
        exclude: tuple[Role, ...] = ("norm", "bias"),
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "nesterov": nesterov,
            "lr_inside_momentum": lr_inside_momentum,
            "adapted": True,
        }
        super().__init__(exempt(groups, exclude, given={"weight_decay": 0.0, "adapted": False}), defaults)

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient; `closure`, if given, computes the loss and the gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            move = _lr_inside if group["lr_inside_momentum"] else _lr_outside
            for params in _batched(p for p in group["params"] if p.grad is not None):
                grads = [_gradient(p) for p in params]
                if group["weight_decay"] != 0:
                    grads = list(torch._foreach_add(grads, params, alpha=group["weight_decay"]))
                move(params, grads, velocities=[self._velocity(p) for p in params], group=group)
        return loss

    def _velocity(self, param: Tensor) -> Tensor:
        state = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(param)
        return state["momentum_buffer"]


def _gradient(param: Tensor) -> Tensor:
    assert param.grad is not None
    if param.grad.is_sparse:
        raise UserError("LARS: a gradient is sparse, and decay and trust ratio need it whole; build the embedding dense.")
    return param.grad


def _batched(params: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters that are updated together: all of a device at once, where starting a kernel is what costs.

    On the CPU memory is what costs, and a tensor that goes through all its operations at once stays in the cache: a ResNet-50
    takes less than half the time so.
    """
    together: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for param in params:
        if param.device.type == "cpu":
            yield [param]
        else:
            together[param.device, param.dtype].append(param)
    yield from together.values()


def _lr_inside(params: list[Tensor], grads: list[Tensor], *, velocities: list[Tensor], group: dict[str, Any]) -> None:
    rates = _rates(params, grads, group=group)
    torch._foreach_mul_(velocities, group["momentum"])
    torch._foreach_addcmul_(velocities, grads, rates)
    updates = velocities
    if group["nesterov"]:
        updates = list(torch._foreach_mul(velocities, group["momentum"]))
        torch._foreach_addcmul_(updates, grads, rates)
    torch._foreach_sub_(params, updates)


def _lr_outside(params: list[Tensor], grads: list[Tensor], *, velocities: list[Tensor], group: dict[str, Any]) -> None:
    torch._foreach_mul_(velocities, group["momentum"])
    torch._foreach_add_(velocities, grads)
    updates = velocities
    if group["nesterov"]:
        updates = list(torch._foreach_add(grads, velocities, alpha=group["momentum"]))
    torch._foreach_addcmul_(params, updates, _rates(params, updates, group=group), value=-1)


def _rates(params: list[Tensor], updates: list[Tensor], *, group: dict[str, Any]) -> list[Tensor]:
    """Learning rate times trust ratio, one number a tensor; they stay on the device, so nothing waits for it."""
    if not group["adapted"]:
        return list(params[0].new_full((len(params),), group["lr"]).unbind())
    weight = torch.stack(torch._foreach_norm(params))  # (len(params),)
    update = torch.stack(torch._foreach_norm(updates))
    ratio = torch.where((weight > 0) & (update > 0), group["trust_coefficient"] * weight / update, 1.0)
    return list((group["lr"] * ratio).unbind())
