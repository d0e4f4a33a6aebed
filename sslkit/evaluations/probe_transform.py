"""Transform probe: what a representation still knows of how its image was changed, and the head throws away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Gt, MinLen
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from sslkit.augmentations import color
from sslkit.augmentations.batch import Images, on_rows
from sslkit.augmentations.gaussian_noise import GaussianNoise
from sslkit.augmentations.sobel import Sobel
from sslkit.draws import Draw, Draws
from sslkit.errors import DataError
from sslkit.evaluations.accuracy import Found, guesses, top1
from sslkit.evaluations.classifier import Batch, ClassifierTraining
from sslkit.evaluations.features import EvaluationImages, Features
from sslkit.evaluations.frozen import encode, require_frozen
from sslkit.evaluations.rules import Rule
from sslkit.evaluations.shuffled_batches import shuffled_batches
from sslkit.gradient import seed_noise

Transform = Literal["grayscale", "rotation", "noise", "sobel"]

Answers = Int64[np.ndarray, " n"]
_ROWS = 256  # images at a time


class TransformProbe:
    """Change each image in one way out of several, and train a small network to tell from the representation in which.

    Four questions (arXiv:2002.05709, section 4.2, table 3): is the image gray (a fifth are); by which of 0, 90, 180, 270
    degrees is it turned; has it noise (half have); is it filtered with Sobel (half are). The paper finds that h answers them
    far better than z = g(h): the head throws away what the loss asks to be invariant to, if these changes are among the
    augmentations. Ask both, with `layer = "h"` and `layer = "z"`.

    The network is BN - linear - ReLU - linear; its batch norm has no scale and shift, so that h and z are seen on one scale.
    It is trained on one cropped and flipped view of each training image and tested on the evaluation view of each test image,
    by SGD with Nesterov momentum 0.9 and a cosine. The paper says nothing of the network's size or training; these are ours.
    Images are changed while they are in [0, 1]: before the operation that ends the evaluation view, such as `normalize`.

    Gives `probe_transform_rotation_top1` and so on, and `probe_transform_rotation_chance`, the share of the most frequent
    answer among the test images, which needs no eyes.

    Args:
        transforms: which questions.
        hidden_dim: width of the network.
        epochs: passes over the training images.
        base_lr: learning rate for a batch of 256.
        sigma: lowest and highest standard deviation of the noise, where white is 1.

    Raises:
        DataError: images of one channel were asked for grayscale.
        UserError: the encoder is in training mode.
    """

    law = "BN, one hidden layer"

    def __init__(
        self,
        *,
        transforms: Annotated[tuple[Transform, ...], MinLen(1)] = ("grayscale", "rotation", "noise", "sobel"),
        hidden_dim: Annotated[int, Gt(0)] = 512,
        epochs: Annotated[int, Gt(0)] = 30,
        base_lr: Annotated[float, Gt(0)] = 0.1,
        sigma: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.02, 0.2),
    ) -> None:
        self.transforms = tuple(dict.fromkeys(transforms))
        self.hidden_dim = hidden_dim
        self.training = ClassifierTraining("probe_transform", Rule(epochs=epochs, base_lr=base_lr))
        self._noise = GaussianNoise(sigma=sigma)

    def check(self, train: Features, test: Features, channels: int) -> None:  # noqa: ARG002 - no labels are looked at
        """Raise DataError if images of so many channels can't be asked one of the questions."""
        if channels == 1 and "grayscale" in self.transforms:
            raise DataError("images of one channel are gray already; leave grayscale out of its transforms.")

    def __call__(self, encoder: nn.Module, images: EvaluationImages, seed: int) -> Found:
        """How often each question is answered right on the test images."""
        require_frozen(encoder, "probe_transform")
        found: Found = []
        for transform in self.transforms:
            question = self._questions()[transform]
            plain = images.before_last
            asked = partial(_asked, encoder, question=question, last=images.last, seed=seed)
            train, test = asked(plain.train_views(0, _ROWS), split="train"), asked(plain.test_batches(_ROWS), split="test")
            right = self._right(train, test, num_answers=question.num_answers, seed=seed)
            chance = np.bincount(test.answers).max() / len(test.answers)
            found += [(f"probe_transform_{transform}_top1", right), (f"probe_transform_{transform}_chance", float(chance))]
        return found

    def _questions(self) -> dict[str, Question]:
        return {
            "grayscale": Question(2, lambda draw: draw.chance(0.2).astype(np.int64), _changed(_gray)),
            "rotation": Question(4, lambda draw: draw.integers(4), _turned),
            "noise": Question(2, lambda draw: draw.integers(2), _changed(self._noise)),
            "sobel": Question(2, lambda draw: draw.integers(2), _changed(Sobel())),
        }

    def _right(self, train: Asked, test: Asked, *, num_answers: int, seed: int) -> float:
        seed_noise(seed, "probe_transform")  # the hidden layer begins at random
        width = train.h.shape[1]
        hidden = nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Linear(width, self.hidden_dim), nn.ReLU())

        def batches(epoch: int, batch_size: int) -> Iterator[Batch]:
            return shuffled_batches(
                train.h, train.answers, epoch=epoch, batch_size=batch_size, seed=seed, name="probe_transform"
            )

        network = self.training.fit(batches, num_images=len(train.h), num_classes=num_answers, encoder=hidden)
        [scores] = self.training.score(network, [torch.from_numpy(test.h)])
        return top1(guesses(scores, test.answers))


class Question(NamedTuple):
    """How many answers there are, how the right one is drawn for each image, and what it does to the images."""

    num_answers: int
    drawn: Callable[[Draw], Answers]
    change: Callable[[Images, Answers, Draw], Images]


class Asked(NamedTuple):
    """Representations of changed images, and which change each went through."""

    h: Float32[np.ndarray, "n d"]
    answers: Answers


def _asked(
    encoder: nn.Module,
    batches: Iterable[Tensor],
    *,
    question: Question,
    last: Callable[[Images, Draws], Images],
    seed: int,
    split: str,
) -> Asked:
    """The answers are a function of the seed and an image's place in the pass."""
    parts: list[Asked] = []
    seen = 0
    for x in batches:
        images = np.ascontiguousarray(x.permute(0, 2, 3, 1).numpy()).copy()  # the loader uses its memory again
        rows = np.arange(seen, seen + len(images))
        draw = Draw(rows, seed, "probe_transform", split)
        answers = question.drawn(draw)
        changed = last(question.change(images, answers, draw), Draws(rows, seed, "probe_transform", split, "last"))
        h = encode(encoder, torch.from_numpy(changed).permute(0, 3, 1, 2))
        parts.append(Asked(h.float().cpu().numpy(), answers))
        seen += len(images)
    return Asked(np.concatenate([part.h for part in parts]), np.concatenate([part.answers for part in parts]))


def _changed(operation: Callable[[Images, Draw], Images]) -> Callable[[Images, Answers, Draw], Images]:
    """An operation on those images whose answer is 1."""

    def change(images: Images, answers: Answers, draw: Draw) -> Images:
        chosen = answers == 1
        return on_rows(chosen, images, lambda some: operation(some, draw.rows(chosen)))

    return change


def _gray(images: Images, _: Draw) -> Images:
    if images.shape[3] == 1:
        raise DataError("probe_transform: images of one channel are gray already; leave grayscale out of its transforms.")
    color.grayscale(images)
    return images


def _turned(images: Images, answers: Answers, _: Draw) -> Images:
    """Answer k is a turn by 90 k degrees, counter-clockwise; the images are square."""
    for quarter in range(1, 4):
        images[answers == quarter] = np.rot90(images[answers == quarter], quarter, axes=(1, 2))
    return images
