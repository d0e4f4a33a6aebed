"""Online probe: a linear classifier learns beside the pretraining, on representations that it can't change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit import signatures
from sslkit.errors import DataError

Scalars = dict[str, Tensor]


class OnlineProbe(nn.Module):
    """A method with a linear classifier on stop-gradient(h), trained by the same optimizer in the same steps.

    The paper gets comparable numbers from it and from a classifier trained afterwards (arXiv:2002.05709, appendix B.6); the
    authors' second code has it on by default. Each view of a labelled image is an example. The gradient of its cross-entropy
    stops at h, and its value is not part of the loss that is logged, so that a run with it has the same encoder, loss and z to
    the bit as one without it, as long as the optimizer treats parameters one by one.

    Logs `online_loss` and `online_top1`, on the augmented views of the batch before its step.

    Args:
        method: the method, which keeps its contract.
        num_classes: how many scores the classifier gives; it begins at zero.
        num_views: views an image has.
    """

    def __init__(self, method: nn.Module, *, num_classes: int, num_views: int) -> None:
        super().__init__()
        self.method = method
        self.views = num_views
        self.classifier = nn.Linear(method.backbone.out_dim, num_classes)  # type: ignore[union-attr, arg-type]
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    @property
    def backbone(self) -> nn.Module:
        """The method's encoder."""
        found: nn.Module = self.method.backbone  # type: ignore[assignment]
        return found

    @property
    def head(self) -> nn.Module:
        """The method's head."""
        found: nn.Module = self.method.head  # type: ignore[assignment]
        return found

    @property
    def after_step(self) -> Any:
        """The method's own, or None."""
        return getattr(self.method, "after_step", None)

    def project(self, views: Sequence[Float[Tensor, "n c _h _w"]]) -> tuple[Tensor, ...]:
        """What the method gives, and the representation of each view."""
        seen: list[Tensor] = []
        watch = self.backbone.register_forward_hook(lambda _module, _input, h: seen.append(h.detach()))
        try:
            outputs: tuple[Tensor, ...] = self.method.project(views)  # type: ignore[operator]
        finally:
            watch.remove()
        return *outputs, *torch.cat(seen).chunk(self.views)

    def objective(
        self, *outputs: Tensor, labels: Int64[Tensor, " n"] | None = None, indices: Int64[Tensor, " n"] | None = None
    ) -> tuple[Float[Tensor, ""], Scalars]:
        """The method's loss, whose gradient has the classifier's beside it."""
        if labels is None:
            raise DataError("train.online_probe: needs labels, and these images have none.")
        own, hs = outputs[: -self.views], outputs[-self.views :]
        offered = signatures.declared(self.method.objective, {"labels": labels, "indices": indices})  # type: ignore[arg-type]
        loss, scalars = self.method.objective(*own, **offered)  # type: ignore[operator]
        repeated = labels.repeat(self.views)
        with torch.autocast(repeated.device.type, enabled=False):
            scores = self.classifier(torch.cat(hs).detach().float())  # (v n, c)
            cross_entropy = F.cross_entropy(scores, repeated)
        top1 = (scores.detach().argmax(dim=1) == repeated).float().mean()
        beside = cross_entropy - cross_entropy.detach()  # zero, with a gradient
        return loss + beside, {**scalars, "online_loss": cross_entropy.detach(), "online_top1": top1}
