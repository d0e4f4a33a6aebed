"""Linear evaluation as the paper does it: one linear classifier on a frozen encoder that sees new crops in every epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from annotated_types import Ge, Gt
from torch import nn

from sslkit.evaluations.accuracy import Found, accuracies
from sslkit.evaluations.encoding import encode, require_frozen
from sslkit.evaluations.features import EvaluationImages, Features, LabelledPair, labelled_features, labelled_images
from sslkit.evaluations.probe import Batch, ProbeTraining


class LinearProbe:
    """Trains a linear classifier on h while the encoder stands still: the number that SimCLR papers report.

    A linear layer with bias on h, cross-entropy, SGD with Nesterov momentum 0.9, learning rate `base_lr * batch / 256`,
    90 epochs, no weight decay, no warm-up; training images are cropped and flipped at random, test images seen in the
    evaluation view; batch norm uses its running statistics and does not move them (arXiv:2002.05709, appendix B.6).

    Where we differ from the paper: it takes a batch of 4096, the default here is 256, with the rate scaled to it. It does not
    say how the rate falls or where the classifier begins; we take the cosine to 0 of the official code and the zero weights
    of its published command. That command also decays weights by 1e-6: set `weight_decay` for it. Features are used as they
    are, neither centred nor normalised.

    Gives `linear_top1`, and for more than ten classes `linear_top5`, after the last epoch. It costs a forward pass of the
    encoder for every image in every epoch, `linear_cached` one for every image.

    Args:
        epochs: passes over the training images.
        base_lr: learning rate for a batch of 256.
        batch_size: images a step; all of them where they are fewer. The last batch of an epoch may be smaller.
        weight_decay: of weights and bias.
    """

    protocol = "crops and flips each epoch, SGD Nesterov"

    def __init__(
        self,
        *,
        epochs: Annotated[int, Gt(0)] = 90,
        base_lr: Annotated[float, Gt(0)] = 0.1,
        batch_size: Annotated[int, Gt(0)] = 256,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        self.training = ProbeTraining("linear", epochs, base_lr, batch_size, weight_decay)

    def check(self, train: Features, test: Features) -> LabelledPair:
        """The labels of both splits, if they have them; features may still be of width 0."""
        return labelled_features(train, test, "linear")

    def __call__(self, encoder: nn.Module, images: EvaluationImages) -> Found:
        """Accuracies on the test images of a classifier trained on the training images.

        Raises:
            DataError: labels are missing.
            NonFiniteError: the training diverged, or the encoder's features are not finite.
            UserError: the encoder is in training mode.
        """
        labels = labelled_images(images, "linear")
        require_frozen(encoder, "linear")

        def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
            for x, y in images.train_batches(epoch, batch_size):
                h = encode(encoder, x)
                yield h, y.to(h.device)

        classifier = self.training.fit(batches, num_images=len(labels.train), num_classes=labels.num_classes)
        seen = (encode(encoder, x) for x in images.test_batches(self.training.batch_size))
        found = self.training.score(classifier, seen, labels.test)
        return accuracies(found, labels.test, prefix="linear", num_classes=labels.num_classes)
