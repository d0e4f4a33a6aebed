"""Fine-tuning: the whole network goes on learning, on few labels or on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from torch import nn

from sslkit.evaluations import targets
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.rules import FINETUNE, Rule, bit_hyperrule
from sslkit.evaluations.whole_network import fine_tuned, refuse_pixels


class FineTune:
    """Trains the encoder on with a linear classifier on top of it, and gives the accuracy of both together.

    A linear layer with bias that begins at zero on h, cross-entropy, SGD with Nesterov momentum 0.9 on all weights, learning
    rate `base_lr * batch / 256`, no weight decay, no warm-up; batch norm learns; training images are cropped and flipped at
    random, test images seen in the evaluation view (arXiv:2002.05709, appendix B.5). The paper takes 60 epochs for 1 % of the
    labels and 30 for 10 %: `labels_fraction = 0.01` beside `epochs = 60`. The encoder that is evaluated stays as it is.

    With `baselines = ["untrained"]` the same training starts from the weights that the pretraining started from: the
    supervised baseline under the same budget. With `layer = "head.1"` the first layer of the head learns too, as SimCLRv2 does
    for few labels (arXiv:2006.10029, section 2).

    `protocol = "bit"` is BiT-HyperRule (arXiv:1912.11370, section 3.3): a batch of 512, plain momentum, learning rate 0.003
    however large the batch, 500 steps for fewer than 20,000 images, 10,000 for fewer than 500,000, else 20,000, a tenth of the
    rate after 30, 60 and 90 % of them, MixUp with alpha 0.1 from 20,000 images on. Its resolutions are not part of it here:
    images have the size of the evaluation view. (Its code, other than its paper, warms up, and drops the rate of the shortest
    schedule after 40, 60 and 80 %.)

    Where we differ from the paper: a batch of 256, with the rate scaled to it; the paper says nothing of the rate's fall, we
    take the official code's cosine.

    Gives `finetune_top1`, and for more than ten classes `finetune_top5`, after the last epoch; or, where an image may be of
    several classes, `finetune_map`, as told at `linear`.

    Args:
        protocol: whose settings; those given beside it take the place of its own.
        epochs: passes over the training images; 30 in "simclr"; in "bit" in place of its number of steps.
        base_lr: learning rate for a batch of 256; 0.05 in "simclr".
        batch_size: images a step, 256 in "simclr"; all of them where they are fewer.
        weight_decay: of all weights; 0 in both.
    """

    def __init__(
        self,
        *,
        protocol: Literal["simclr", "bit"] = "simclr",
        epochs: Annotated[int, Gt(0)] | None = None,
        base_lr: Annotated[float, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] | None = None,
        weight_decay: Annotated[float, Ge(0)] | None = None,
    ) -> None:
        self.law = "the whole network learns"
        self._of_size: Callable[[int], Rule] = bit_hyperrule if protocol == "bit" else lambda _: FINETUNE
        self._given = {"epochs": epochs, "base_lr": base_lr, "batch_size": batch_size, "weight_decay": weight_decay}

    def settings(self, num_images: int) -> dict[str, Any]:
        """What stands beside a number."""
        return self._rule(num_images).settings

    def _rule(self, num_images: int) -> Rule:
        rule = self._of_size(num_images).but(**self._given)
        return rule if self._given["epochs"] is None else rule._replace(steps=None)

    def check(self, train: Features, test: Features, baselines: Sequence[str] = ()) -> None:
        """Raise DataError if labels are missing or pixels are a baseline; features may still be of width 0."""
        refuse_pixels(baselines)
        targets.of_features(train, test, "finetune")

    def __call__(self, encoder: nn.Module, images: EvaluationImages, seed: int) -> Found:
        """Accuracies on the test images of a network trained on the training images.

        Raises:
            DataError: labels are missing.
            NonFiniteError: the training diverged.
            UserError: the encoder has nothing to learn.
        """
        rule = self._rule(len(images.train_labels) if images.train_labels is not None else 0)
        return fine_tuned(encoder, images, rule=rule, evaluation="finetune", seed=seed).found("finetune")
