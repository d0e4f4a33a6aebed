"""The classifier of the supervised evaluations, and the SGD that trains it, alone or with the encoder beneath it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from sslkit import draws
from sslkit.errors import DataError, NonFiniteError
from sslkit.evaluations.rules import Rule

Batch = tuple[Float32[Tensor, "b ..."], Int64[Tensor, "b *c"]]
Batches = Callable[[int, int], Iterable[Batch]]  # (epoch, batch_size) -> all images, batch by batch
Loss = Callable[[Tensor, Tensor], Tensor]  # (scores, labels) -> a scalar


@dataclass(frozen=True)
class ClassifierTraining:
    """SGD with momentum 0.9 on the cross-entropy, or another loss, by a rule.

    The batch is the rule's, or all images if they are fewer. The last batch of an epoch is kept, however small, so that every
    image is seen in every epoch. But where it is a single image, and a batch norm would see one value a channel and have no
    variance, it is left out: the order is another in each epoch, so it is another image each time, and to put it into the batch
    before would make that batch larger than the rule says.
    """

    evaluation: str
    rule: Rule

    def fit(
        self,
        batches: Batches,
        *,
        num_images: int,
        num_classes: int,
        encoder: nn.Module | None = None,
        loss: Loss = F.cross_entropy,
        seed: int = 0,
    ) -> nn.Module:
        """A linear classifier with bias, trained from zero; behind an encoder, which learns too, if one is given.

        Args:
            batches: what the network takes, with labels.
            num_images: how many images an epoch has.
            num_classes: how many scores the classifier gives.
            encoder: trained in place; without one the batches hold representations.
            loss: what is minimised.
            seed: of the shares of MixUp; a rule without it draws nothing here.

        Raises:
            DataError: there is one image only, or batches of one, and the network has a batch norm.
            NonFiniteError: the loss is a NaN or an infinity.
        """
        batch = min(self.rule.batch_size, num_images)
        stream: Iterator[Batch] = chain.from_iterable(batches(epoch, batch) for epoch in count())
        first = next(stream)
        network = self._network(encoder, first[0], num_classes)
        if least := self._least(network, first[0], batch=batch, num_images=num_images):
            stream = (some for some in stream if len(some[0]) >= least)
        steps = self.rule.steps or self.rule.epochs * (-(-num_images // batch) - bool(least))
        optimizer = self._optimizer(network)
        for step, (x, labels) in enumerate(islice(chain([first], stream), steps)):
            for group in optimizer.param_groups:
                group["lr"] = self.rule.lr_at(step, steps=steps, batch_size=batch)
            value = self._loss(network, x, labels, step=step, seed=seed, loss=loss)
            self._require_finite(value, step)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return network.eval()

    def _least(self, network: nn.Module, x: Tensor, *, batch: int, num_images: int) -> int:
        """How many images a batch must have to be learnt, where the last one has fewer; else 0.

        Raises:
            DataError: no batch has so many.
        """
        if (batch > 1 and num_images % batch != 1) or _learns_from_one(network, x):
            return 0
        if batch == 1:
            raise DataError(f"{self.evaluation}: a batch norm can't learn from one image at a time; give it two or more.")
        return 2

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """SGD by the rule; the weights of the batch norm that it adds do not decay."""
        groups: list[dict[str, Any]] = [
            {"params": [p for name, p in network.named_parameters() if not name.startswith("norm.")]},
            {"params": [p for name, p in network.named_parameters() if name.startswith("norm.")], "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=self.rule.nesterov, weight_decay=self.rule.weight_decay)

    def _require_finite(self, loss: Tensor, step: int) -> None:
        if not torch.isfinite(loss):
            raise NonFiniteError(
                f"{self.evaluation}: the loss of the classifier is {loss.item()} at its step {step}. Lower base_lr, "
                f"which is {self.rule.base_lr:g}, unless the encoder's own features are not finite."
            )

    def _loss(self, network: nn.Module, x: Tensor, labels: Tensor, *, step: int, seed: int, loss: Loss) -> Tensor:
        """The loss; with MixUp, of mixtures of each image and the one as far from the other end of the batch."""
        if not self.rule.mixup:
            return loss(network(x), labels)
        share = float(np.random.default_rng(draws.key(seed, "mixup", step)).beta(self.rule.mixup, self.rule.mixup))
        scores = network(share * x + (1 - share) * x.flip(0))
        return share * loss(scores, labels) + (1 - share) * loss(scores, labels.flip(0))

    def _network(self, encoder: nn.Module | None, x: Tensor, num_classes: int) -> nn.Sequential:
        """Encoder, batch norm and linear layer, as far as they are wanted, in training mode."""
        network = nn.Sequential()
        if encoder is not None:
            with torch.no_grad():
                x = encoder.eval()(x[:1])  # for the width alone; no statistics move
            network.add_module("encoder", encoder)
        if self.rule.normalize:
            network.add_module("norm", nn.BatchNorm1d(x.shape[1], device=x.device))
        network.add_module("linear", _zero_linear(x, num_classes))
        return network.train()

    def score(self, network: nn.Module, batches: Iterable[Float32[Tensor, "b ..."]]) -> Iterator[Float32[np.ndarray, "b c"]]:
        """The classifier's scores, for images or features that come batch by batch.

        Raises:
            NonFiniteError: a score is a NaN or an infinity.
        """
        for x in batches:
            with torch.no_grad():
                scores = network(x)
            if not torch.isfinite(scores).all():
                raise NonFiniteError(
                    f"{self.evaluation}: the classifier gives scores that are not finite; the encoder's features of "
                    f"the test split are not, or base_lr, which is {self.rule.base_lr:g}, is far too high."
                )
            yield scores.cpu().numpy()


def _learns_from_one(network: nn.Module, x: Tensor) -> bool:
    """Whether a network in training mode takes a batch of one image; tried on a copy, so that no statistics move."""
    with torch.no_grad(), torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
        try:
            copy.deepcopy(network)(x[:1])
        except ValueError as error:
            if "more than 1 value per channel" in str(error):  # torch's batch norm
                return False
            raise
    return True


def _zero_linear(h: Float32[Tensor, "b d"], num_classes: int) -> nn.Linear:
    """A linear layer for such features; it begins at zero and so needs no random number."""
    classifier = nn.Linear(h.shape[1], num_classes, device="meta").to_empty(device=h.device)
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    return classifier
