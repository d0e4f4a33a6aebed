"""SimSiam: a network predicts, for one view, what it says itself of the other, and takes that as given."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from sslkit_byol.prediction import mean_cosine, predictor


class SimSiam(nn.Module):
    """Simple siamese representations (arXiv:2011.10566, algorithm 1).

    The loss is `-cos(h(z1), stop(z2)) / 2 - cos(h(z2), stop(z1)) / 2`, the mean over the batch; stop means that no gradient
    goes that way. Each view has a forward pass of its own, as in the authors' code.

    There the last layer of the projection g has a batch norm without scale and shift, and the predictor's learning rate does
    not fall along the cosine. Here g is the recipe's head, and all rates follow the schedule.

    Args:
        backbone: the encoder f.
        head: the projection g; the paper's has three layers of 2,048.
        hidden_dim: width of the predictor h, a bottleneck: a quarter of the outputs in the paper.
    """

    num_views = 2

    def __init__(self, backbone: nn.Module, head: nn.Module, *, hidden_dim: Annotated[int, Gt(0)] = 512) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.predictor = predictor(head.out_dim, hidden_dim)

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Predictions of both views, then projections of both, without a gradient; each `(n, k)`."""
        projections = [self.head(self.backbone(view)) for view in views]
        return (*(self.predictor(z) for z in projections), *(z.detach() for z in projections))

    def objective(self, *outputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the standard deviation of the normalised projections, which is near 0 where all collapse to one."""
        p1, p2, z1, z2 = outputs
        loss = -(mean_cosine(p1, z2) + mean_cosine(p2, z1)) / 2
        u = torch.nn.functional.normalize(torch.cat([z1, z2]).float())
        return loss, {"z_std": u.std(dim=0, correction=0).mean() * u.shape[1] ** 0.5}
