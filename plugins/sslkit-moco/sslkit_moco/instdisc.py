"""InstDisc: every image is a class of its own, and a memory of all images is what tells them apart."""

from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from sslkit import UserError
from sslkit_moco.contrast import entropy_and_accuracy, normalised


class InstDisc(nn.Module):
    """Instance discrimination with a memory bank (arXiv:1805.01978, eq. 2).

    The loss is the cross-entropy of an image's class among `memory . v / temperature`, v its normalised projection. Then its
    row of the memory becomes `momentum * row + (1 - momentum) * v`, normalised.

    The paper estimates the sum over all images from 4,096 of them (noise-contrastive estimation, eqs. 4 to 7), for a million
    images; here the sum is whole. Its proximal regularisation (eq. 8) is left out.

    Args:
        backbone: the encoder f.
        head: a linear layer of 128 outputs in the paper.
        num_images: how many images are trained on; the memory has a row for each.
        momentum: how much of a row stays; 0.5 in the authors' code.
        temperature: divides the cosines.

    Raises:
        UserError: there are more images than rows.
    """

    num_views = 1

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        num_images: Annotated[int, Gt(1)],
        momentum: Annotated[float, Ge(0), Lt(1)] = 0.5,
        temperature: Annotated[float, Gt(0)] = 0.07,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.momentum = momentum
        self.temperature = temperature
        self.register_buffer("memory", normalised(torch.randn(num_images, head.out_dim)))  # (images, k)

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projections `(n, k)` of the one view."""
        (view,) = views
        return (self.head(self.backbone(view)),)

    def objective(self, *outputs: Tensor, indices: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and how often an image's own row is the nearest; in training the memory takes the projections."""
        if int(indices.max()) >= len(self.memory):
            raise UserError(
                f"method.num_images: is {len(self.memory)}, and the images go up to number {int(indices.max())}; "
                f"give the number of images in the training split."
            )
        v = normalised(outputs[0])
        with torch.autocast(v.device.type, enabled=False):
            found = entropy_and_accuracy(v @ self.memory.to(v.dtype).T / self.temperature, indices)
        if self.training:
            self._remember(v.detach(), indices)
        return found

    @torch.no_grad()
    def _remember(self, v: Tensor, indices: Tensor) -> None:
        rows = self.momentum * self.memory[indices] + (1 - self.momentum) * v.to(self.memory.dtype)
        self.memory = self.memory.index_copy(0, indices, normalised(rows).to(self.memory.dtype))
