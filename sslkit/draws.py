"""Addressed randomness: every random number is a pure function of where it is used.

An address is (seed, epoch, sample, view, operation, draw). There is no generator and so no state: the numbers of sample 17
in epoch 3 are the same whatever batch, worker or rank computes them. The hash is the finaliser of splitmix64 (Steele, Lea
and Flood, OOPSLA 2014, doi:10.1145/2660193.2660195): the scalars of the address are folded as Python integers, the samples
of a batch are hashed at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from functools import cache

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: the step of splitmix64
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB

Samples = Int64[np.ndarray, " n"]

_KEPT = 1 << 16  # numbers of one address that are kept for all parts of a batch


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


class _Numbers:
    """The numbers of one address for all samples of a batch; few numbers a sample are computed once for all parts of it."""

    def __init__(self, base: UInt64[np.ndarray, " n"]) -> None:
        self.base = base
        self._known: dict[tuple[Hashable, ...], np.ndarray] = {}

    def bits(self, first: int, size: int, rows: Int64[np.ndarray, " m"] | None = None) -> UInt64[np.ndarray, "m size"]:
        counters = np.arange(first, first + size, dtype=np.uint64) * np.uint64(_GOLDEN)  # (size,)
        return _mix_array((self.base if rows is None else self.base[rows])[:, None] + counters)

    def of(
        self, law: Callable[..., np.ndarray], *parameters: float, first: int, size: int, rows: Int64[np.ndarray, " m"]
    ) -> np.ndarray:
        """What a law makes of `size` times 64 bits a sample, from the draw `first` on."""
        if len(self.base) * size > _KEPT:
            return law(self.bits(first, size, rows), *parameters)
        key = (law, first, size, *parameters)
        if key not in self._known:
            self._known[key] = law(self.bits(first, size), *parameters)
        return self._known[key][rows]


def _uniform(bits: UInt64[np.ndarray, "n size"], low: float, high: float) -> Float64[np.ndarray, "n size"]:
    return low + (high - low) * ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _single(bits: UInt64[np.ndarray, "n 1"], low: float, high: float) -> Float64[np.ndarray, " n"]:
    return _uniform(bits, low, high)[:, 0]


def _chance(bits: UInt64[np.ndarray, "n 1"], p: float) -> Bool[np.ndarray, " n"]:
    return _single(bits, 0.0, 1.0) < p


def _order(bits: UInt64[np.ndarray, "n size"]) -> Int64[np.ndarray, "n size"]:
    return np.argsort(bits, axis=1, kind="stable").astype(np.int64)


class Draw:
    """The random numbers of one operation for the `n` samples of a batch.

    Each call takes the next draw of the address and gives one row a sample; `size` asks for that many numbers a sample.

    >>> draw = Draw(np.arange(4), 0, "demo")
    >>> draw.uniform(0.2, 1.8).shape, draw.normal(size=3).shape
    ((4,), (4, 3))
    """

    def __init__(self, samples: Samples, *address: int | str) -> None:
        samples = np.asarray(samples, dtype=np.int64)
        self._begin(_Numbers(hashes(samples, *address)), np.arange(len(samples)), 0)

    def _begin(self, numbers: _Numbers, rows: Int64[np.ndarray, " n"], count: int) -> Draw:
        self._numbers, self._rows, self._count = numbers, rows, count
        return self

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, chosen: Bool[np.ndarray, " n"] | Int64[np.ndarray, " m"] | slice) -> Draw:
        """The same draws for some of the samples; each keeps the numbers it would have had."""
        return Draw.__new__(Draw)._begin(self._numbers, self._rows[chosen], self._count)

    def within(self, *address: int | str) -> Draw:
        """The draws at an address inside of this one; they do not depend on how many were taken here."""
        base = _mix_array(self._numbers.base[self._rows] + np.uint64(key(*address)))
        return Draw.__new__(Draw)._begin(_Numbers(base), np.arange(len(base)), 0)

    def _of(self, law: Callable[..., np.ndarray], *parameters: float, size: int = 1) -> np.ndarray:
        first, self._count = self._count, self._count + size
        return self._numbers.of(law, *parameters, first=first, size=size, rows=self._rows)

    def bits(self, size: int) -> UInt64[np.ndarray, "n size"]:
        """64 random bits, `size` times a sample."""
        first, self._count = self._count, self._count + size
        return self._numbers.bits(first, size, self._rows)

    def uniform(self, low: float = 0.0, high: float = 1.0, *, size: int | None = None) -> Float64[np.ndarray, "..."]:
        """Uniform in [low, high), with 53 random bits."""
        return self._of(_single, low, high) if size is None else self._of(_uniform, low, high, size=size)

    def normal(self, *, size: int | None = None) -> Float64[np.ndarray, "..."]:
        """Standard normal, by the Box-Muller transform of two uniform numbers."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(size=size)))
        return radius * np.cos(2.0 * np.pi * self.uniform(size=size))

    def integers(self, k: int, *, size: int | None = None) -> Int64[np.ndarray, "..."]:
        """Uniform among 0..k-1."""
        return np.floor(self.uniform(size=size) * k).astype(np.int64)

    def chance(self, p: float) -> Bool[np.ndarray, " n"]:
        """True with probability p."""
        return self._of(_chance, p)

    def permutation(self, k: int) -> Int64[np.ndarray, "n k"]:
        """A permutation of 0..k-1 a sample."""
        return self._of(_order, size=k)


class Draws:
    """The draws at every address inside of one: `draws("gaussian_blur#0")` begins that operation's.

    Parts of a batch share what was computed for the whole of it.
    """

    def __init__(self, samples: Samples, *address: int | str) -> None:
        self._samples, self._address = samples, address
        self._known: dict[tuple[int | str, ...], Draw] = {}
        self._rows = np.arange(len(samples))

    def __call__(self, *inside: int | str) -> Draw:
        """The draws at an address, from the first one on."""
        if inside not in self._known:
            self._known[inside] = Draw(self._samples, *self._address, *inside)
        return self._known[inside].rows(self._rows)

    def rows(self, rows: slice) -> Draws:
        """The same draws for a part of the batch."""
        part = Draws(self._samples, *self._address)
        part._known, part._rows = self._known, self._rows[rows]
        return part
