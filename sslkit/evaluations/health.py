"""Health: whether a representation has collapsed, told from the features alone, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from sslkit import draws
from sslkit.errors import DataError, NonFiniteError
from sslkit.evaluations.accuracy import Found
from sslkit.evaluations.blocks import Rows, unit
from sslkit.evaluations.features import EvaluationImages, Features, require_finite
from sslkit.evaluations.frozen import encode, require_frozen
from sslkit.evaluations.spectrum import rankme, singular_values
from sslkit.evaluations.spread import dead_dimensions, feature_std, uniformity

_WIDEST = 8192  # of a symmetric matrix whose eigenvalues are taken: 512 MB
_BATCH = 256  # images in a forward pass


class Health:
    """Five numbers on the features of the split `test` that show a collapse at one glance; nothing is trained.

    | number | is | all features the same | healthy |
    |---|---|---|---|
    | `health_rankme` | effective rank | 1 | large; d at most |
    | `health_dead_dimensions` | share of dimensions that hardly move | 1 | 0 |
    | `health_uniformity` | how evenly directions cover the sphere | 0 | towards -4 |
    | `health_alignment` | distance of two views of an image | 0 | small, though `health_uniformity` is far below 0 |
    | `health_feature_std` | standard deviation of the directions | 0 | towards 1 |

    What follows leaves `health_` out. With h the features, as they are, `s_k` the singular values of all of them together, and
    `u = h / ||h||`:

        rankme           exp(- sum_k p_k log p_k),  p_k = s_k / sum(s) + 1e-7            (arXiv:2210.02885, eq. 1)
        dead_dimensions  share of j with  std(h_j) <= dead_below * sqrt(mean(h^2))
        uniformity       log  mean over pairs i < j of  exp(-2 ||u_i - u_j||^2)          (arXiv:2005.10242, 4.1.2)
        alignment        mean over images of  ||u(x1) - u(x2)||^2                        (arXiv:2005.10242, 4.1.1)
        feature_std      sqrt(d) * mean_j std(u_j)                                       (arXiv:2011.10566, fig. 2)

    Uniformity and alignment look at `num_sampled` images, the same for every encoder and epoch of a seed, the rest at all of
    them; but where both the images and the dimensions are more than 8192, `rankme` looks at the sampled ones too, and can't
    exceed their number. Sums are in float64, and features may be a memory map of any length.

    Where we differ: RankMe's paper takes 25,600 training images, and z where it says embeddings; here it is h of `test`, or of
    whatever split and layer the recipe names. x1 and x2 are two random crops, flipped with probability 0.5
    (`random_resized_crop` and `horizontal_flip` with their defaults, at the size of the evaluation view, and then what that
    view does after its crop), whatever the encoder was trained with, so that encoders compare; the paper takes pairs as in
    training. `dead_dimensions` has no source. RankMe is for comparing runs of one method, says its paper.

    Args:
        num_sampled: images for `uniformity`, which compares all pairs of them, and `alignment`, which embeds two views of each;
            all images where they are fewer.
        dead_below: a dimension is dead whose standard deviation is at most this fraction of the root mean square of all
            features.
    """

    law = "no labels, alignment of crops and flips"
    learns: ClassVar[bool] = False

    def __init__(
        self,
        *,
        num_sampled: Annotated[int, Gt(1)] = 4096,
        dead_below: Annotated[float, Ge(0), Lt(1)] = 1e-3,
    ) -> None:
        self.num_sampled = num_sampled
        self.dead_below = dead_below

    def check(self, train: Features, test: Features) -> None:  # noqa: ARG002 (all checks are called alike)
        """Raise DataError if there is no pair of images; features may still be of width 0."""
        if len(test.h) < 2:
            raise DataError(f"evaluate: 'health' compares images, and the split {test.split!r} has {len(test.h)}.")

    def __call__(self, test: Features, encoder: nn.Module, images: EvaluationImages, seed: int) -> Found:
        """The five numbers of the table above.

        Raises:
            DataError: there is one image, or features are not finite.
            NonFiniteError: features of random crops are not finite.
            UserError: the encoder is in training mode.
        """
        self.check(test, test)
        require_frozen(encoder, "health")
        require_finite(test, "health")
        sampled = self._sampled(len(test.h), seed)
        ranked = sampled if min(test.h.shape) > _WIDEST else np.arange(len(test.h), dtype=np.int64)
        return [
            ("health_rankme", rankme(singular_values(test.h, ranked))),
            ("health_dead_dimensions", dead_dimensions(test.h, below=self.dead_below)),
            ("health_uniformity", uniformity(test.h, sampled)),
            ("health_alignment", alignment(encoder, images.test_pairs(sampled, _BATCH))),
            ("health_feature_std", feature_std(test.h)),
        ]

    def _sampled(self, num_images: int, seed: int) -> Rows:
        if num_images <= self.num_sampled:
            return np.arange(num_images, dtype=np.int64)
        return np.sort(draws.shuffled(num_images, seed, "health")[: self.num_sampled])


def alignment(encoder: nn.Module, pairs: Iterator[tuple[Tensor, Tensor]]) -> float:
    """The mean squared distance of the directions of two views of an image (arXiv:2005.10242, section 4.1.1, alpha = 2).

    From 0, where they agree, to 4, where they are opposite; 2 is what directions without anything in common have.

    Raises:
        NonFiniteError: the encoder gives a NaN or an infinity.
    """
    distances = []
    for views in pairs:
        u1, u2 = (unit(encode(encoder, view).double().cpu().numpy()) for view in views)
        distances.append(np.square(u1 - u2).sum(axis=1))
    found = float(np.concatenate(distances).mean())
    if not np.isfinite(found):
        raise NonFiniteError(
            "health: the encoder's features of random crops are not finite, though those of the test split are."
        )
    return found
