"""MINE: steps of the size of the sign of the momentum."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Lt


class Mine(torch.optim.Optimizer):
    """Lion (arXiv:2302.06675, algorithm 2): each weight moves by the learning rate, in the direction of a momentum's sign.

    Args:
        groups: of parameters; weight decay is for those of the role `weight` alone.
        lr: the learning rate; the schedule sets it anew before each step.
        betas: of the momentum in the step, and of the one that is kept.
        weight_decay: the share of a weight that decays in a step of learning rate 1.
    """

    def __init__(
        self,
        groups: Any,
        lr: float,
        *,
        betas: tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]] = (0.9, 0.99),
        weight_decay: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None, "the framework calls it without one"
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            decay = group["weight_decay"] if group.get("role", "weight") == "weight" else 0.0
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                kept = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                direction = torch.lerp(parameter.grad, kept, beta1).sign_()
                parameter.mul_(1 - group["lr"] * decay).sub_(direction, alpha=group["lr"])
                kept.lerp_(parameter.grad, 1 - beta2)
