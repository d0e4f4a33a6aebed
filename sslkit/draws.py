"""Addressed randomness: every random number is a pure function of where it is used.

An address is (seed, epoch, sample, view, operation, draw). There is no generator and so no state: the numbers of sample 17
in epoch 3 are the same whatever batch, worker or rank computes them. The hash is the finaliser of splitmix64 (Steele, Lea
and Flood, OOPSLA 2014, doi:10.1145/2660193.2660195): the scalars of the address are folded as Python integers, the samples
of a batch are hashed at once.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: the step of splitmix64
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB

Samples = Int64[np.ndarray, " n"]


def _mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * _MIX1) & _MASK
    x = ((x ^ (x >> 27)) * _MIX2) & _MASK
    return x ^ (x >> 31)


def _mix_array(x: UInt64[np.ndarray, "..."]) -> UInt64[np.ndarray, "..."]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_MIX1)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_MIX2)
    return x ^ (x >> np.uint64(31))


@cache
def _word(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def key(*address: int | str) -> int:
    """Fold the scalars of an address into 64 bits; `key(0, 1)`, `key(1, 0)` and `key(0, "1")` all differ."""
    folded = len(address)
    for part in address:
        word = _word(part) if isinstance(part, str) else part & _MASK
        folded = _mix((folded + _GOLDEN + _mix(word + _GOLDEN & _MASK)) & _MASK)
    return folded


def hashes(samples: Samples, *address: int | str) -> UInt64[np.ndarray, " n"]:
    """64 random bits for each sample at one address."""
    return _mix_array(_mix_array(samples.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key(*address))))


def shuffled(n: int, *address: int | str) -> Int64[np.ndarray, " n"]:
    """A permutation of 0..n-1 that depends on nothing but the address."""
    return np.argsort(hashes(np.arange(n, dtype=np.int64), *address), kind="stable").astype(np.int64)


class Draw:
    """The random numbers of one operation for the `n` samples of a batch.

    Each call takes the next draw of the address and gives one row a sample; `size` asks for that many numbers a sample.

    >>> draw = Draw(np.arange(4), 0, "demo")
    >>> draw.uniform(0.2, 1.8).shape, draw.normal(size=3).shape
    ((4,), (4, 3))
    """

    def __init__(self, samples: Samples, *address: int | str) -> None:
        self.samples = np.asarray(samples, dtype=np.int64)
        self._base = hashes(self.samples, *address)
        self._count = 0

    def __len__(self) -> int:
        return len(self.samples)

    def rows(self, chosen: Bool[np.ndarray, " n"]) -> Draw:
        """The same draws for some of the samples; each keeps the numbers it would have had."""
        part = Draw.__new__(Draw)
        part.samples = self.samples[chosen]
        part._base = self._base[chosen]
        part._count = self._count
        return part

    def within(self, *address: int | str) -> Draw:
        """The draws at an address inside of this one; they do not depend on how many were taken here."""
        inside = Draw.__new__(Draw)
        inside.samples = self.samples
        inside._base = _mix_array(self._base + np.uint64(key(*address)))
        inside._count = 0
        return inside

    def _bits(self, size: int | None) -> UInt64[np.ndarray, "..."]:
        first, self._count = self._count, self._count + (size or 1)
        counters = np.arange(first, self._count, dtype=np.uint64) * np.uint64(_GOLDEN)  # (size,)
        bits = _mix_array(self._base[:, None] + counters)  # (n, size)
        return bits[:, 0] if size is None else bits

    def uniform(self, low: float = 0.0, high: float = 1.0, *, size: int | None = None) -> Float64[np.ndarray, "..."]:
        """Uniform in [low, high), with 53 random bits."""
        unit = (self._bits(size) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + (high - low) * unit

    def normal(self, *, size: int | None = None) -> Float64[np.ndarray, "..."]:
        """Standard normal, by the Box-Muller transform of two uniform numbers."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(size=size)))
        return radius * np.cos(2.0 * np.pi * self.uniform(size=size))

    def integers(self, k: int, *, size: int | None = None) -> Int64[np.ndarray, "..."]:
        """Uniform among 0..k-1."""
        return np.floor(self.uniform(size=size) * k).astype(np.int64)

    def chance(self, p: float) -> Bool[np.ndarray, " n"]:
        """True with probability p."""
        return self.uniform() < p

    def permutation(self, k: int) -> Int64[np.ndarray, "n k"]:
        """A permutation of 0..k-1 a sample."""
        return np.argsort(self._bits(k), axis=1, kind="stable").astype(np.int64)
