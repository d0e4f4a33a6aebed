"""Methods that break one promise each."""

import copy

import torch
from badness import Bads
from torch import nn

bad = Bads("methods")
SLICES = "of slices and of shares it sees other rows than of the whole batch"


class Pairs(nn.Module):
    """Both views of an image are to have one projection (Hadsell et al., 2006)."""

    def __init__(self, backbone, head) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def project(self, views):
        return tuple(self.head(self.backbone(view)) for view in views)

    def objective(self, z1, z2):
        return (z1 - z2).square().sum(dim=1).mean() + z1.square().mean(), {}


@bad("is_a_module_with_its_parts", "method.backbone is not the backbone that it was given.")
class TrainsACopy(Pairs):
    """One projection for both views (Hadsell et al., 2006), by a copy of the backbone."""

    def __init__(self, backbone, head) -> None:
        super().__init__(copy.deepcopy(backbone), head)


@bad(
    "project_gives_one_row_an_image",
    "it is a list.",
    also={"micro_batches_equal_the_whole": "these tests check types, and micro-batches ask for a tuple"},
)
class GivesAList(Pairs):
    """One projection for both views (Hadsell et al., 2006), given as a list."""

    def project(self, views):
        return list(super().project(views))


@bad(
    "project_gives_one_row_an_image",
    "output 0 has 16 rows for 8 images.",
    also=dict.fromkeys(
        ("project_is_local", "processes_equal_one", "micro_batches_equal_the_whole"), "a row is taken for that of another image"
    ),
)
class StacksTheViews(Pairs):
    """One projection for both views (Hadsell et al., 2006), which stand below each other."""

    def project(self, views):
        return (torch.cat(super().project(views)),)

    def objective(self, z):
        return super().objective(*z.chunk(2))


@bad(
    "project_is_local",
    "output 0 of an image alone differs by",
    also=dict.fromkeys(("processes_equal_one", "micro_batches_equal_the_whole"), SLICES),
)
class CentersInProject(Pairs):
    """One projection for both views (Hadsell et al., 2006), centred over the rows that are at hand."""

    def project(self, views):
        return tuple(z - 0.5 * z.mean(dim=0) for z in super().project(views))


@bad("project_keeps_no_state", "calls moved.")
class CountsInProject(Pairs):
    """One projection for both views (Hadsell et al., 2006); projections are counted while they are made."""

    def __init__(self, backbone, head) -> None:
        super().__init__(backbone, head)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def project(self, views):
        self.calls += 1
        return super().project(views)


@bad("objective_gives_a_scalar", "its form is (1,).")
class GivesOneRow(Pairs):
    """One projection for both views (Hadsell et al., 2006); the cost has an axis too many."""

    def objective(self, z1, z2):
        return super().objective(z1, z2)[0][None], {}


@bad("objective_gives_a_scalar", "length is not detached.")
class LogsWithItsGraph(Pairs):
    """One projection for both views (Hadsell et al., 2006), logged with its graph."""

    def objective(self, z1, z2):
        return super().objective(z1, z2)[0], {"length": z1.square().mean()}


@bad("backbone_is_trained", "0.weight has none.")
class HoldsTheBackboneStill(Pairs):
    """One projection for both views (Hadsell et al., 2006) of a backbone that learns nothing."""

    def project(self, views):
        return tuple(self.head(self.backbone(view).detach()) for view in views)


@bad("processes_equal_one", "in one process")
class AveragesOverRanks(Pairs):
    """One projection for both views (Hadsell et al., 2006), divided by the number of processes."""

    def objective(self, z1, z2):
        loss, scalars = super().objective(z1, z2)
        return loss / (torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1), scalars


@bad("processes_equal_one", "the gradient of backbone.0.weight differs by")
class GradientOfOneRank(Pairs):
    """One projection for both views (Hadsell et al., 2006), with a gradient that the first process counts twice."""

    def project(self, views):
        first = torch.distributed.is_initialized() and torch.distributed.get_rank() == 0
        return tuple(2 * z - z.detach() if first else z for z in super().project(views))


@bad(
    "micro_batches_equal_the_whole",
    "the loss is",
    also={"processes_equal_one": "what it keeps aside are rows of this process"},
)
class KeepsProjectionsAside(Pairs):
    """One projection for both views (Hadsell et al., 2006), and a cost of what `project` kept aside."""

    def project(self, views):
        self.kept = self.backbone(views[0])
        return super().project(views)

    def objective(self, z1, z2):
        loss, scalars = super().objective(z1, z2)
        return loss + self.kept.square().mean(), scalars


@bad("resume_is_exact", "differs two steps later.")
class RemembersAside(Pairs):
    """One projection for both views (Hadsell et al., 2006), whose cost grows by a count that its state does not hold."""

    def __init__(self, backbone, head) -> None:
        super().__init__(backbone, head)
        self.count = 0

    def objective(self, z1, z2):
        self.count += 1
        loss, scalars = super().objective(z1, z2)
        return loss * (1 + 0.1 * self.count), scalars


@bad("after_step_takes_the_progress", "after_step(0.01): ZeroDivisionError")
class DividesByProgress(Pairs):
    """One projection for both views (Hadsell et al., 2006); something falls with the tenths of the training that are done."""

    def after_step(self, progress):
        self.share = 1 / int(10 * progress)


@bad("tensors_move_with_it", "center is a tensor, and neither a parameter nor a buffer.")
class KeepsATensorAside(Pairs):
    """One projection for both views (Hadsell et al., 2006), less a centre that stays where it was made."""

    def __init__(self, backbone, head) -> None:
        super().__init__(backbone, head)
        self.center = torch.zeros(6)

    def objective(self, z1, z2):
        return super().objective(z1 - self.center, z2 - self.center)


@bad("cites_a_source", "neither names a source.")
class FromNowhere(Pairs):
    """One projection for both views."""
