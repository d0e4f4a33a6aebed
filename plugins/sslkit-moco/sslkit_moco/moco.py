"""MoCo: one view finds the other, as a slowly following copy of the network sees it, among a queue of keys from before."""

import copy
from collections.abc import Sequence
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn

from sslkit_moco.contrast import entropy_and_accuracy, normalised


class MoCo(nn.Module):
    """Momentum contrast (arXiv:1911.05722, algorithm 1), with the temperature of v2 (arXiv:2003.04297).

    The first view gives queries q, the second, through the key network, keys k. The loss is that of the class 0 among
    `(q . k, q . queue) / temperature` (eq. 1). Then the keys replace the oldest of the queue. After each step the weights of
    the key network become `momentum * theirs + (1 - momentum) * ours` (eq. 2).

    The authors' code shuffles the images between GPUs, so that the statistics of batch norm do not tell a query its key. Here
    they are taken over all processes, which says less of any one image; with few images to a batch it may still say something.

    Args:
        backbone: the encoder f of the queries.
        head: their head; v2's has one hidden layer and 128 outputs.
        queue: how many keys are kept; 65,536 in the paper.
        momentum: how much of the key network stays in a step.
        temperature: divides the cosines; 0.2 in v2, 0.07 before.
    """

    num_views = 2

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        queue: Annotated[int, Gt(0)] = 65_536,
        momentum: Annotated[float, Ge(0), Le(1)] = 0.999,
        temperature: Annotated[float, Gt(0)] = 0.2,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.key_network = copy.deepcopy(nn.Sequential(backbone, head)).requires_grad_(False)
        self.momentum = momentum
        self.temperature = temperature
        self.register_buffer("queue", normalised(torch.randn(queue, head.out_dim)))  # (K, k)
        self.register_buffer("oldest", torch.tensor(0))

    def project(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Queries of the first view and keys of the second, each `(n, k)`, not normalised yet."""
        first, second = views
        with torch.no_grad():
            keys = self.key_network(second)
        return self.head(self.backbone(first)), keys

    def objective(self, *outputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and how often the key is nearer than all of the queue; in training the queue takes the keys."""
        q, k = normalised(outputs[0]), normalised(outputs[1].detach())
        with torch.autocast(q.device.type, enabled=False):
            queue = self.queue.to(q.dtype)  # a copy where it is narrower
            logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], dim=1) / self.temperature  # (n, 1 + K)
            found = entropy_and_accuracy(logits, torch.zeros(len(q), dtype=torch.long, device=q.device))
        if self.training:
            self._enqueue(k)
        return found

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        keys = keys[-len(self.queue) :]
        places = (self.oldest + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue = self.queue.index_copy(0, places, keys.to(self.queue.dtype))  # a new one: the loss still needs the old
        self.oldest.copy_((self.oldest + len(keys)) % len(self.queue))

    @torch.no_grad()
    def after_step(self, progress: float) -> None:  # noqa: ARG002  it follows at the same rate all along
        """The key network follows."""
        ours = [*self.backbone.parameters(), *self.head.parameters()]
        for theirs, own in zip(self.key_network.parameters(), ours, strict=True):
            theirs.lerp_(own.to(theirs.dtype), 1 - self.momentum)
