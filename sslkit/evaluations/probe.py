"""The linear classifier of the linear evaluation, and the SGD that trains it (arXiv:2002.05709, appendix B.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit import schedule
from sslkit.errors import NonFiniteError
from sslkit.evaluations.accuracy import Guesses, guesses, together

Batch = tuple[Float32[Tensor, "b d"], Int64[Tensor, " b"]]


@dataclass(frozen=True)
class ProbeTraining:
    """SGD with Nesterov momentum 0.9 on the cross-entropy, cosine from `base_lr * batch / 256` to 0, no warm-up.

    The batch is `batch_size`, or all images if they are fewer. The last batch of an epoch is kept, however small, so that every
    image is seen in every epoch.
    """

    evaluation: str
    epochs: int
    base_lr: float
    batch_size: int
    weight_decay: float

    def fit(self, batches: Callable[[int, int], Iterable[Batch]], *, num_images: int, num_classes: int) -> nn.Linear:
        """A classifier with bias, trained from zero.

        Args:
            batches: `(epoch, batch_size) -> (h, labels)` of all images, batch by batch.
            num_images: how many images an epoch has.
            num_classes: how many scores the classifier gives.

        Raises:
            NonFiniteError: the loss is a NaN or an infinity.
        """
        batch = min(self.batch_size, num_images)
        steps = self.epochs * -(-num_images // batch)
        peak = schedule.peak_lr(self.base_lr, batch_size=batch, scaling="linear")
        stream = chain.from_iterable(batches(epoch, batch) for epoch in range(self.epochs))
        first = next(stream)
        classifier = _zero_classifier(first[0], num_classes)
        optimizer = torch.optim.SGD(
            classifier.parameters(), lr=peak, momentum=0.9, nesterov=True, weight_decay=self.weight_decay
        )
        for step, (h, labels) in zip(range(steps), chain([first], stream), strict=True):
            optimizer.param_groups[0]["lr"] = schedule.lr_at(step, steps=steps, warmup_steps=0, peak=peak)
            loss = F.cross_entropy(classifier(h), labels)
            if not torch.isfinite(loss):
                raise NonFiniteError(
                    f"{self.evaluation}: the loss of the linear classifier is {loss.item()} at its step {step}. Lower base_lr, "
                    f"which is {self.base_lr:g}, unless the encoder's own features are not finite."
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return classifier

    @torch.no_grad()
    def score(
        self, classifier: nn.Linear, batches: Iterable[Float32[Tensor, "b d"]], labels: Int64[np.ndarray, " n"]
    ) -> Guesses:
        """What is made of each test image by the classifier's scores, for features that come batch by batch.

        Raises:
            NonFiniteError: a score is a NaN or an infinity.
        """
        found: list[Guesses] = []
        seen = 0
        for h in batches:
            scores = classifier(h)
            if not torch.isfinite(scores).all():
                raise NonFiniteError(
                    f"{self.evaluation}: the linear classifier gives scores that are not finite; the encoder's features of "
                    f"the test split are not, or base_lr, which is {self.base_lr:g}, is far too high."
                )
            found.append(guesses(scores.cpu().numpy(), labels[seen : seen + len(h)]))
            seen += len(h)
        assert seen == len(labels), f"{seen} images for {len(labels)} labels"
        return together(found)


def _zero_classifier(h: Float32[Tensor, "b d"], num_classes: int) -> nn.Linear:
    """A linear layer for such features; it begins at zero and so needs no random number."""
    classifier = nn.Linear(h.shape[1], num_classes, device="meta").to_empty(device=h.device)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    return classifier
