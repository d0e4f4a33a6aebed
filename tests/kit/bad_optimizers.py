"""Optimizers that break one promise each; all are plain descent with something besides."""

from typing import ClassVar

import torch
from badness import Bads

bad = Bads("optimizers")


class Descent(torch.optim.Optimizer):
    """Each weight goes down its gradient (Robbins and Monro, 1951)."""

    def __init__(self, groups, lr) -> None:
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, group["lr"])

    def move(self, parameter, lr):
        parameter.add_(parameter.grad, alpha=-lr)


@bad("is_one_of_torch", "a group has only ['lr', 'lr_scale', 'names', 'params'].")
class ForgetsTheRoles(Descent):
    """Descent (Robbins and Monro, 1951) that drops the roles of the parameters."""

    def __init__(self, groups, lr) -> None:
        super().__init__([{key: value for key, value in group.items() if key != "role"} for group in groups], lr)


@bad(
    "is_one_of_torch",
    "it is a LooksLikeOne.",
    also=dict.fromkeys(
        ("loss_goes_down", "learning_rate_is_heard", "state_round_trips", "resume_is_exact", "same_steps_same_bits"),
        "these tests check types, and the loop asks for an optimizer of torch",
    ),
)
class LooksLikeOne:
    """Descent (Robbins and Monro, 1951) in something that only looks like an optimizer."""

    def __init__(self, groups, lr) -> None:
        self.inner = Descent(groups, lr)
        self.param_groups, self.state = self.inner.param_groups, self.inner.state

    def step(self):
        self.inner.step()

    def zero_grad(self):
        self.inner.zero_grad()

    def state_dict(self):
        return self.inner.state_dict()

    def load_state_dict(self, state):
        self.inner.load_state_dict(state)


@bad(
    "is_one_of_torch",
    "a group has only ['lr', 'lr_scale', 'params', 'role'].",
    also=dict.fromkeys(("state_round_trips", "resume_is_exact"), "a checkpoint knows parameters by their names"),
)
class ForgetsTheNames(Descent):
    """Descent (Robbins and Monro, 1951) that drops the names of the parameters."""

    def __init__(self, groups, lr) -> None:
        super().__init__([{key: value for key, value in group.items() if key != "names"} for group in groups], lr)


@bad("loss_goes_down", "at the start, and")
class GoesUp(Descent):
    """Ascent (Robbins and Monro, 1951)."""

    def move(self, parameter, lr):
        parameter.add_(parameter.grad, alpha=lr)


@bad("learning_rate_is_heard", "weights moved at a learning rate of 0.")
class KeepsItsFirstRate(Descent):
    """Descent (Robbins and Monro, 1951) at the learning rate of the start."""

    def __init__(self, groups, lr) -> None:
        super().__init__(groups, lr)
        self.first = lr

    def move(self, parameter, lr):
        super().move(parameter, self.first)


@bad(
    "learning_rate_is_heard",
    "no weight moved at a learning rate of 0.05.",
    also={"loss_goes_down": "what does not move learns nothing"},
)
class StandsStill(Descent):
    """Descent (Robbins and Monro, 1951) that is never begun."""

    def move(self, parameter, lr):
        """Nothing."""


@bad("state_round_trips", "optimizer/0.weight/length is torch.float64 before, torch.float32 after.")
class CountsInDoubles(Descent):
    """Descent (Robbins and Monro, 1951) that keeps the length of its way in float64, for later."""

    def move(self, parameter, lr):
        super().move(parameter, lr)
        way = self.state[parameter].setdefault("length", torch.zeros((), dtype=torch.float64))
        way += parameter.grad.double().norm() * lr


@bad("state_round_trips", "a checkpoint: TypeError", also={"resume_is_exact": "what can't be saved can't be resumed"})
class KeepsWords(Descent):
    """Descent (Robbins and Monro, 1951) that keeps a word for each parameter."""

    def move(self, parameter, lr):
        super().move(parameter, lr)
        self.state[parameter]["mood"] = "fine"


@bad("resume_is_exact", "three steps later.")
class RemembersAside(Descent):
    """Descent with momentum (Polyak, 1964) whose velocities are not in its state."""

    def __init__(self, groups, lr) -> None:
        super().__init__(groups, lr)
        self.velocity = {}

    def move(self, parameter, lr):
        self.velocity[parameter] = self.velocity.get(parameter, 0) * 0.5 + parameter.grad
        parameter.add_(self.velocity[parameter], alpha=-lr)


@bad(
    "same_steps_same_bits",
    "they differ by",
    also=dict.fromkeys(
        ("resume_is_exact", "memory_layout_is_irrelevant"), "of chance that is nobody's no two trainings have the same"
    ),
)
class AnotherChance(Descent):
    """Descent (Robbins and Monro, 1951) with a little noise that nothing seeds."""

    generator: ClassVar[torch.Generator] = torch.Generator()

    def move(self, parameter, lr):
        parameter.add_(parameter.grad + 0.1 * torch.randn(parameter.shape, generator=self.generator), alpha=-lr)


@bad("parameters_without_gradient_stay", "it moved.")
class DecaysAll(Descent):
    """Descent with weight decay (Krogh and Hertz, 1991), of parameters without a gradient too."""

    @torch.no_grad()
    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.mul_(1 - 0.01 * group["lr"])


@bad("memory_layout_is_irrelevant", "they differ by")
class GoesByMemory(Descent):
    """Descent (Robbins and Monro, 1951) that goes over weights in the order in which they lie in memory."""

    def move(self, parameter, lr):
        torch.as_strided(parameter, (parameter.numel(),), (1,)).add_(parameter.grad.flatten(), alpha=-lr)


@bad("cites_a_source", "neither names a source.")
class FromNowhere(Descent):
    """Each weight goes down its gradient."""
