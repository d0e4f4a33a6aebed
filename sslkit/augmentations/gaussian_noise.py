"""Gaussian noise: every pixel changes a little, each by itself."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import Annotated

import numpy as np
from annotated_types import Gt
from jaxtyping import Float32

from sslkit.augmentations.batch import Images
from sslkit.augmentations.interval import interval
from sslkit.draws import Draw

_LEVELS = 1 << 16
_PART = 1 << 15  # numbers that are drawn at once, so that they stay in a core's cache


class GaussianNoise:
    """Add sigma * e to each pixel of each channel, with e standard normal and a sigma for each image; then clip to [0, 1].

    sigma is uniform in [low, high]. SimCLR's ablation has Gaussian noise (arXiv:2002.05709, Fig. 5), but no paper gives its
    parameters; these are ours.

    e takes 65,536 values, all equally likely: the normal distribution's quantiles at (k + 1/2) / 65536, k = 0..65535. Their
    variance is 2e-5 below 1, and they end at 4.32, where one normal number in 65,536 is larger; photos have 256 steps. So one
    64-bit hash of the address gives four numbers, looked up in a table, where `draw.normal` takes two hashes, a logarithm and
    a cosine for each, which is far slower. The noise also depends on the size of the images.

    Args:
        sigma: lowest and highest standard deviation, where black is 0 and white is 1.

    Raises:
        UserError: `sigma` is not (low, high).
    """

    def __init__(self, *, sigma: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.02, 0.2)) -> None:
        self.sigma = interval("sigma", sigma)

    def __call__(self, images: Images, draw: Draw) -> Images:
        """Images (n, h, w, c) in [0, 1] -> all of them with noise, in place."""
        images = np.ascontiguousarray(images)
        sigmas = draw.uniform(*self.sigma).astype(np.float32)[:, None]  # (n, 1)
        pixels = images.reshape(len(images), images[0].size if len(images) else 0)  # the same memory, (n, h w c)
        step = max(1, _PART // max(1, len(images)) // 4) * 4
        for start in range(0, pixels.shape[1], step):
            part = pixels[:, start : start + step]
            noise = normal(draw, part.shape[1])
            noise *= sigmas
            part += noise
            np.clip(part, 0, 1, out=part)
        return images


def normal(draw: Draw, size: int) -> Float32[np.ndarray, "n size"]:
    """`size` standard normal numbers a sample, four of one hash: see `GaussianNoise`.

    Asking for some multiple of four and then for more gives the same numbers as asking for all at once.
    """
    levels = draw.bits(-(-size // 4)).view(np.uint16)[:, :size]
    return np.take(_quantiles(), levels)


@cache
def _quantiles() -> Float32[np.ndarray, " levels"]:
    """The normal quantiles at (k + 1/2) / 65536, symmetric to the bit."""
    quantile = NormalDist().inv_cdf
    upper = np.array([quantile((k + 0.5) / _LEVELS) for k in range(_LEVELS // 2, _LEVELS)], dtype=np.float32)
    table: Float32[np.ndarray, " levels"] = np.concatenate([-upper[::-1], upper])
    table.flags.writeable = False  # one table serves all
    return table
