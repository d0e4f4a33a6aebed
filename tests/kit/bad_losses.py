"""Losses that break one promise each."""

import torch
from badness import Bads
from torch import nn
from torch.nn.functional import cross_entropy, normalize

bad = Bads("losses")
NO_ONE_NUMBER = dict.fromkeys(
    (
        "gradients_are_finite_and_reach_every_view",
        "order_of_images_is_irrelevant",
        "matched_views_cost_less",
        "gradient_is_the_derivative",
        "autocast_changes_little",
        "degenerate_batches_are_survived",
        "processes_equal_one",
        "pickles",
    ),
    "what is not one number can't be compared, differentiated or averaged",
)


def distance(z1, z2):
    return (z1 - z2).square().sum(dim=1).mean()


@bad("gives_a_scalar", "distance is not detached.")
class LogsWithItsGraph:
    """Squared distance (Hadsell et al., 2006), logged with its graph."""

    def __call__(self, z1, z2):
        return distance(z1, z2), {"distance": distance(z1, z2)}


@bad("gives_a_scalar", "must give a scalar tensor, and gave a tensor of shape (12,).", also=NO_ONE_NUMBER)
class OneNumberAnImage:
    """Squared distance (Hadsell et al., 2006), not averaged."""

    def __call__(self, z1, z2):
        return (z1 - z2).square().sum(dim=1)


class _ShortOfOneView(torch.autograd.Function):
    """The squared distance, whose gradient goes to the first view alone, and is none in float32's ordinary range."""

    @staticmethod
    def forward(ctx, z1, z2):
        ctx.save_for_backward(z1, z2)
        return distance(z1, z2)

    @staticmethod
    def backward(ctx, gradient):
        z1, z2 = ctx.saved_tensors
        by_first = gradient * 2 * (z1 - z2) / len(z1)
        return by_first, -by_first if z1.dtype == torch.float64 else torch.zeros_like(z2)


@bad("gradients_are_finite_and_reach_every_view", "the gradient of z2 is zero.")
class ForgetsTheSecondView:
    """Squared distance (Hadsell et al., 2006); the second view has no gradient in float32."""

    def __call__(self, z1, z2):
        return _ShortOfOneView.apply(z1, z2)


@bad(
    "gradients_are_finite_and_reach_every_view",
    "z2 has no gradient.",
    also={"gradient_is_the_derivative": "a gradient that is held back is not the derivative"},
)
class StopsTheGradient:
    """Squared distance (Hadsell et al., 2006) to a target that is held still."""

    def __call__(self, z1, z2):
        return distance(z1, z2.detach())


@bad("order_of_images_is_irrelevant", "in one order")
class FirstImagesCount:
    """Squared distance (Hadsell et al., 2006), with less weight for later rows."""

    def __call__(self, z1, z2):
        weight = torch.linspace(1.0, 0.5, len(z1), dtype=z1.dtype)
        return ((z1 - z2).square().sum(dim=1) * weight).mean()


@bad("matched_views_cost_less", "matched cost")
class LooksAtNoPair:
    """Length of the projections (Hadsell et al., 2006), whichever image they are of."""

    def __call__(self, z1, z2):
        return (z1.square() + z2.square()).sum(dim=1).mean()


class _WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z1, z2):
        ctx.save_for_backward(z1, z2)
        return distance(z1, z2)

    @staticmethod
    def backward(ctx, gradient):
        z1, z2 = ctx.saved_tensors
        by_first = gradient * 2.02 * (z1 - z2) / len(z1)  # one percent too much
        return by_first, -by_first


@bad("gradient_is_the_derivative", "Jacobian mismatch")
class ItsOwnGradient:
    """Squared distance (Hadsell et al., 2006) with a gradient written by hand."""

    def __call__(self, z1, z2):
        return _WrongGradient.apply(z1, z2)


@bad("autocast_changes_little", "the gradient is off by")
class InHalfPrecision:
    """Cross entropy of similarities (arXiv:1807.03748) in whatever precision the products come."""

    def __call__(self, z1, z2):
        similarity = normalize(z1) @ normalize(z2).T / 0.01
        return cross_entropy(similarity, torch.arange(len(z1)))


@bad("degenerate_batches_are_survived", "equal rows: the gradient is not finite.")
class RootOfZero:
    """Distance (Hadsell et al., 2006), whose root has no derivative where the views are equal."""

    def __call__(self, z1, z2):
        return (z1 - z2).square().sum(dim=1).sqrt().mean()


@bad("degenerate_batches_are_survived", "zeros: the loss is nan.")
class DividesByLength:
    """Distance of directions (Hadsell et al., 2006); zeros have none."""

    def __call__(self, z1, z2):
        u1, u2 = (z / z.square().sum(dim=1, keepdim=True).sqrt() for z in (z1, z2))
        return distance(u1, u2)


@bad("degenerate_batches_are_survived", "one image: IndexError")
class AsksForASecondImage:
    """Squared distance (Hadsell et al., 2006), by a scale that the second image decides."""

    def __call__(self, z1, z2):
        return distance(z1, z2) * (1 + 0 * z1[1].sum())


@bad("processes_equal_one", "in one process")
class AveragesOverRanks:
    """Squared distance (Hadsell et al., 2006), divided by the number of processes although it is that of the whole batch."""

    def __call__(self, z1, z2):
        return distance(z1, z2) / (torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1)


@bad("pickles", "pickle: ")
class HoldsALambda:
    """Squared distance (Hadsell et al., 2006) of what a lambda makes of the projections."""

    def __init__(self) -> None:
        self.transform = lambda z: z

    def __call__(self, z1, z2):
        return distance(self.transform(z1), self.transform(z2))


@bad("pickles", "before,")
class LeavesSomethingBehind(nn.Module):
    """Squared distance (Hadsell et al., 2006) with a scale that pickle does not keep."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 2.0

    def __getstate__(self):
        return {**self.__dict__, "scale": 1.0}

    def forward(self, z1, z2):
        return self.scale * distance(z1, z2)


@bad("tensors_move_with_it", "weights.first is a tensor, and neither a parameter nor a buffer.")
class KeepsATensorAside(nn.Module):
    """Squared distance (Hadsell et al., 2006) with a weight that stays where it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = {"first": torch.ones(())}

    def forward(self, z1, z2):
        return distance(z1, z2) * self.weights["first"]


@bad("cites_a_source", "neither names a source.")
class FromNowhere:
    """Squared distance of the two views."""

    def __call__(self, z1, z2):
        return distance(z1, z2)
