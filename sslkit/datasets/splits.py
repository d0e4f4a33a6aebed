"""Splits: the named parts of a dataset, and the sentence for a part that it does not have."""

from __future__ import annotations

from collections.abc import Sequence

from sslkit.errors import UnknownSplit, did_you_mean, listed


def check_split(split: str, splits: Sequence[str], *, dataset: str) -> None:
    """Raise UnknownSplit if `split` is none of the `splits` of a dataset."""
    if split not in splits:
        raise no_split(split, splits, dataset=dataset)


def no_split(split: str, splits: Sequence[str], *, dataset: str, where: str = "") -> UnknownSplit:
    """The error for a split that does not exist; `where` says in which folder, if that matters."""
    return UnknownSplit(
        f"dataset {dataset!r} has no split {split!r}{where}.{did_you_mean(split, splits)} It has: {listed(splits)}."
    )
