"""SwAV: each view predicts the assignment to prototypes that another view of the image got."""

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit import Siamese, UserError
from sslkit_swav.sinkhorn import sinkhorn


class SwAV(nn.Module):
    """Swapped assignments (arXiv:2006.09882, eqs. 1, 2 and 6), with any number of views of any sizes (multi-crop, section 3.2).

    Scores are cosines of projections and prototypes. Of each of the first `assigned` views the scores give an assignment by
    Sinkhorn; all other views predict it, `-sum q log softmax(scores / temperature)`. The loss is the mean over these pairs and
    over the images. Prototypes are brought to length 1 after each step.

    The authors' code may assign with a queue of projections from before, for small batches; here the batch is that of all
    processes, and there is no queue.

    Args:
        backbone: the encoder f.
        head: the projection g; two layers of 2,048 and 128 outputs in the paper.
        prototypes: how many; 3,000 in the paper, about three a class of ImageNet.
        assigned: how many views get an assignment, the first ones: the large crops.
        temperature: divides the scores that predict.
        epsilon: divides the scores that assign.
        iterations: of Sinkhorn.
        freeze: in what share of the training, from its beginning, the prototypes stay; an epoch in the authors' code.

    Raises:
        UserError: there are not more views than one, or fewer than are to be assigned.
    """

    min_views = 2
    num_views = None

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        prototypes: Annotated[int, Gt(1)] = 3000,
        assigned: Annotated[int, Gt(0)] = 2,
        temperature: Annotated[float, Gt(0)] = 0.1,
        epsilon: Annotated[float, Gt(0)] = 0.05,
        iterations: Annotated[int, Gt(0)] = 3,
        freeze: Annotated[float, Ge(0), Lt(1)] = 0.0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.prototypes = nn.Linear(head.out_dim, prototypes, bias=False)
        self.assigned = assigned
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.freeze = freeze
        self.register_buffer("progress", torch.tensor(0.0, dtype=torch.float64))
        self._to_length_one()

    project = Siamese.project  # one row an image and view; views of one size share a forward pass

    def objective(self, *zs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of projections `(n, k)` of each view, and the mean entropy of the assignments, in nats."""
        if len(zs) < max(2, self.assigned):
            raise UserError(f"views: 'swav' assigns {self.assigned} views and predicts from others; there are {len(zs)}.")
        with torch.autocast(zs[0].device.type, enabled=False):
            scores = [self._scores(z) for z in zs]
            loss, entropy = scores[0].new_zeros(()), scores[0].new_zeros(())
            for i in range(self.assigned):
                q = sinkhorn(scores[i].detach(), epsilon=self.epsilon, iterations=self.iterations)
                entropy = entropy - torch.special.xlogy(q, q).sum(1).mean() / self.assigned
                for j, predicted in enumerate(scores):
                    if j != i:
                        loss = loss - (q * F.log_softmax(predicted / self.temperature, dim=1)).sum(1).mean()
        return loss / (self.assigned * (len(zs) - 1)), {"assignment_entropy": entropy.detach()}

    def _scores(self, z: Tensor) -> Tensor:
        weight = self.prototypes.weight.detach() if self.progress < self.freeze else self.prototypes.weight
        wide = z.to(torch.promote_types(z.dtype, torch.float32))
        return F.normalize(wide) @ weight.to(wide.dtype).T  # (n, prototypes)

    def after_step(self, progress: float) -> None:
        """Bring the prototypes to length 1; `progress` is the share of the training that is done, in (0, 1]."""
        self.progress.fill_(progress)
        self._to_length_one()

    @torch.no_grad()
    def _to_length_one(self) -> None:
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight))
