"""Paired comparison: two classifiers saw the same images; by how much do they differ, and would chance explain it?

An image that both got right, or both wrong, says nothing of which is better; only those that one of them alone got right do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from sslkit.errors import DataError, UserError

Right = Shaped[np.ndarray, "..."]  # booleans (n,): a sentence says so to whoever hands in something else


class Alone(NamedTuple):
    """How many images only the first got right, and how many only the second."""

    first: int
    second: int


def right_alone(right_a: Right, right_b: Right) -> Alone:
    """Count the images `(n,)` that one of two classifiers alone got right.

    Raises:
        DataError: these are not one boolean an image, of the same images, or there is no image.
    """
    for right in (right_a, right_b):
        if right.dtype != np.bool_ or right.ndim != 1:
            raise DataError(f"paired: needs one boolean an image, right or wrong; is {right.dtype} of shape {right.shape}.")
    if len(right_a) != len(right_b):
        raise DataError(f"paired: the first saw {len(right_a)} images, the second {len(right_b)}; both must see the same.")
    if len(right_a) == 0:
        raise DataError("paired: there is no image.")
    return Alone(int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a)))


def mcnemar(right_a: Right, right_b: Right) -> float:
    """McNemar's test, exact and two-sided: the probability of a difference at least this large if neither is better.

    Then each image that one of them alone got right was as likely the other's. With `b` such images of the first, `c` of the
    second and X binomial of `b + c` trials with probability 1/2,

        p = min(1, 2 P(X <= min(b, c)))

    (McNemar 1947, Psychometrika 12, doi:10.1007/BF02295996; the exact form, without his normal approximation). The SimCLR
    paper exchanges the predictions of two models at random, 100,000 times (arXiv:2002.05709, B.8): of top-1 accuracy this is
    what all exchanges together give, so nothing is drawn here. It is computed in whole numbers and rounded once.

    Args:
        right_a: which images `(n,)` the first classifier got right.
        right_b: the same of the second.

    Raises:
        DataError: these are not one boolean an image, of the same images, or there is no image.
    """
    alone = right_alone(right_a, right_b)
    trials = sum(alone)
    ways = total = 1  # of choosing k of the trials; their sum up to k
    for k in range(1, min(alone) + 1):
        ways = ways * (trials - k + 1) // k
        total += ways
    return min(1.0, 2 * total / 2**trials)


def bootstrap_interval(right_a: Right, right_b: Right, *, level: float = 0.95) -> tuple[float, float]:
    """Bounds of the accuracy of the second minus that of the first: how far other images of the kind would move it.

    The bootstrap draws n of the n images with replacement, again and again, and takes the percentiles of what it finds (Efron
    1979, Annals of Statistics 7, doi:10.1214/aos/1176344552, section 2). An image adds +1, -1 or 0 to n times the difference,
    with probability `c / n`, `b / n` and the rest, where the first alone got `b` images right and the second alone `c`. So the
    distribution over all resamples is that of one image convolved n times with itself (Efron's "direct theoretical
    calculation"), which two Fourier transforms give: nothing is drawn, and there is no number of resamples to choose.

    At most `(1 - level) / 2` of all resamples lie below the lower bound, and at most as many above the upper one. If neither
    classifier is ever right alone all resamples are equal, and the interval is 0 to 0.

    Args:
        right_a: which images `(n,)` the first classifier got right.
        right_b: the same of the second.
        level: the share of resamples that the interval holds at least, above 0 and below 1.

    Raises:
        DataError: these are not one boolean an image, of the same images, or there is no image.
        UserError: the level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f"level: must be greater than 0 and less than 1, is {level}.")
    num_images = len(right_a)
    share = _resamples(right_alone(right_a, right_b), num_images)
    beyond = (1 - level) / 2
    lower = int(np.argmax(np.cumsum(share) > beyond)) - num_images
    upper = num_images - int(np.argmax(np.cumsum(share[::-1]) > beyond))
    return lower / num_images, upper / num_images


def _resamples(alone: Alone, num_images: int) -> Float64[np.ndarray, " m"]:
    """The share of resamples in which the second got -n, ..., n images more right than the first; m = 2n + 1."""
    one = np.zeros(2 * num_images + 1)  # of a single image, on a circle: +1, and -1 at the end
    one[[0, 1, -1]] = 1 - sum(alone) / num_images, alone.second / num_images, alone.first / num_images
    return np.fft.fftshift(np.fft.irfft(np.fft.rfft(one) ** num_images, len(one)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of m comparisons, each raised so far that a false alarm among all of them is as rare as in one alone.

    The smallest is multiplied by m, the next by m - 1, and so on; none ends below a smaller one, or above 1:

        adjusted_(i) = min(1, max over j <= i of (m - j + 1) p_(j))

    (Holm 1979, Scandinavian Journal of Statistics 6, pages 65 to 70). It holds whatever the comparisons have in common.

    Args:
        p_values: in any order; the adjusted ones are in the same.

    Raises:
        UserError: one of them is no probability.
    """
    if wrong := [p for p in p_values if not 0 <= p <= 1]:
        raise UserError(f"p_values: must lie in [0, 1], one is {wrong[0]}.")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for before, i in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - before) * p_values[i]))
        adjusted[i] = largest
    return adjusted
