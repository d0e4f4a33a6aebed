"""Heads that break one promise each."""

import numpy as np
import torch
from badness import Bads
from torch import nn

bad = Bads("heads")


class Small(nn.Module):
    """One linear map to 6 numbers."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_dim, 6)
        self.out_dim = 6

    def forward(self, h):
        return self.linear(h)


@bad("width_is_declared", "out_dim is None.")
class SaysNoWidth(Small):
    """One linear map whose width is not said."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.out_dim = None


@bad(
    "any_batch_size_is_taken",
    "a batch of 1 gave 6 rows.",
    also={"rows_do_not_depend_on_the_batch": "it hands over representations one by one"},
)
class Squeezes(Small):
    """One linear map; the axis of a batch of one is lost."""

    def forward(self, h):
        return super().forward(h).squeeze()


@bad("rows_do_not_depend_on_the_batch", "a row alone differs by")
class LooksAtTheBatch(Small):
    """One linear map, less half of the mean over the batch."""

    def forward(self, h):
        z = super().forward(h)
        return z - 0.5 * z.mean(dim=0)


@bad("eval_mode_changes_nothing", "norm.running_mean moved.")
class NormThatNeverRests(Small):
    """One linear map; statistics beside it move in eval mode too."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.norm = nn.BatchNorm1d(6, affine=False)

    def forward(self, h):
        z = super().forward(h)
        self.norm.running_mean.add_(z.detach().mean(dim=0))
        return z


@bad("gradients_reach_every_parameter", "unused.weight has none.")
class HasALayerTooMany(Small):
    """One linear map, and one that nothing goes through."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.unused = nn.Linear(6, 6)


@bad("gradients_reach_the_backbone", "h has no gradient.")
class HoldsTheGradientBack(Small):
    """One linear map of representations that are held still."""

    def forward(self, h):
        return super().forward(h.detach())


@bad("gradients_reach_the_backbone", "z has no gradient by h.")
class Constant(nn.Module):
    """Zeros, and no parameter that could have a gradient."""

    out_dim = 6

    def forward(self, h):
        return torch.zeros(len(h), 6)


@bad("seed_decides_the_weights", "linear.weight differs.")
class AnotherChance(Small):
    """One linear map whose weights numpy draws."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.linear.weight.data = torch.tensor(np.random.default_rng().normal(0, 0.1, (6, in_dim)), dtype=torch.float32)


@bad("state_is_all_there_is", "they differ by")
class RemembersAside(Small):
    """One linear map and a scale, drawn at the start, that its state does not hold."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.scale = 1 + float(torch.rand(()))

    def forward(self, h):
        return super().forward(h) * self.scale


@bad("copies_are_independent", "the copy shares parameters or buffers with the original.")
class IsItsOwnCopy(Small):
    """One linear map whose copies are the same head."""

    def __deepcopy__(self, memo):
        return self


@bad("copies_are_independent", "the copy gives other numbers")
class BeginsAnew(Small):
    """One linear map whose copies have other weights."""

    def __deepcopy__(self, memo):
        return type(self)(self.linear.in_features)


@bad("tensors_move_with_it", "scale is a tensor, and neither a parameter nor a buffer.")
class KeepsATensorAside(Small):
    """One linear map, times a tensor that stays where it was made."""

    def __init__(self, in_dim: int) -> None:
        super().__init__(in_dim)
        self.scale = torch.tensor(2.0)

    def forward(self, h):
        return super().forward(h) * self.scale


@bad("layers_lead_to_the_output", "they differ by")
class ForgetsAnActivation(nn.Module):
    """Two linear maps; the layers it names leave out what stands between them."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(in_dim, 8), nn.Linear(8, 6)])
        self.out_dim = 6

    def forward(self, h):
        return self.layers[1](self.layers[0](h).relu())
