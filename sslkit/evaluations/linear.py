"""Linear evaluation as the paper does it: one linear classifier on a frozen encoder that sees new crops in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from torch import nn

from sslkit.evaluations import targets
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.classifier import Batch, ClassifierTraining
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.frozen import encode, require_frozen
from sslkit.evaluations.rules import LINEAR

Protocol = Literal["simclr", "lightly", "solo-learn", "vissl"]


class LinearProbe:
    """Trains a linear classifier on h while the encoder stands still: the number that SimCLR papers report.

    A linear layer with bias on h, cross-entropy, SGD with Nesterov momentum 0.9, learning rate `base_lr * batch / 256`,
    90 epochs, no weight decay, no warm-up; training images are cropped and flipped at random, test images seen in the
    evaluation view; batch norm uses its running statistics and does not move them (arXiv:2002.05709, appendix B.6).

    Where we differ from the paper: it takes a batch of 4096, the default here is 256, with the rate scaled to it. It does not
    say how the rate falls or where the classifier begins; we take the cosine to 0 of the official code and the zero weights
    of its published command. That command also decays weights by 1e-6: set `weight_decay` for it. Features are used as they
    are, neither centred nor normalised.

    `protocol` takes the settings that another framework publishes, to compare with its numbers: `sslkit.evaluations.rules`
    lists them. What is not a setting of SGD stays ours: crops, the zero start, and for "vissl" h in place of its grid of 2 x 2.

    Where an image may be of several classes, the loss is the cross-entropy of a sigmoid for each class, summed over the
    classes, its mean over the images (`sslkit.evaluations.targets`), and the number the 11-point mean average precision of VOC
    2007.

    Gives `linear_top1`, and for more than ten classes `linear_top5`, after the last epoch; or `linear_map`. It costs a forward
    pass of the encoder for every image in every epoch, `linear_cached` one for every image.

    Args:
        protocol: whose settings; those given beside it take the place of its own.
        epochs: passes over the training images; 90 in "simclr".
        base_lr: learning rate for a batch of 256; 0.1 in "simclr".
        batch_size: images a step, 256 in "simclr"; all of them where they are fewer. The last batch of an epoch may be smaller.
        weight_decay: of weights and bias; 0 in "simclr".
    """

    def __init__(
        self,
        *,
        protocol: Protocol = "simclr",
        epochs: Annotated[int, Gt(0)] | None = None,
        base_lr: Annotated[float, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] | None = None,
        weight_decay: Annotated[float, Ge(0)] | None = None,
    ) -> None:
        rule = LINEAR[protocol].but(epochs=epochs, base_lr=base_lr, batch_size=batch_size, weight_decay=weight_decay)
        self.law = "crops and flips each epoch"
        self.training = ClassifierTraining("linear", rule)

    def settings(self, num_images: int) -> dict[str, Any]:  # noqa: ARG002 - the same for any number
        """What stands beside a number."""
        return self.training.rule.settings

    def check(self, train: Features, test: Features) -> targets.Target:
        """The labels of both splits, if they have them; features may still be of width 0."""
        return targets.of_features(train, test, "linear")

    def __call__(self, encoder: nn.Module, images: EvaluationImages) -> Found:
        """Accuracies on the test images of a classifier trained on the training images.

        Raises:
            DataError: labels are missing.
            NonFiniteError: the training diverged, or the encoder's features are not finite.
            UserError: the encoder is in training mode.
        """
        target = targets.of_images(images, "linear")
        require_frozen(encoder, "linear")

        def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
            for x, y in images.train_batches(epoch, batch_size):
                h = encode(encoder, x)
                yield h, y.to(h.device)

        classifier = self.training.fit(batches, num_images=len(target.train), num_classes=target.num_classes, loss=target.loss)
        seen = (encode(encoder, x) for x in images.test_batches(256))
        return target.judged(self.training.score(classifier, seen)).found("linear")
