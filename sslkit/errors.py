"""Every error that sslkit raises on purpose, and the suggestion that goes with a misspelt word.

SslkitError                 something failed                            exit status 1
├── CheckpointError         a file that holds results can't be used     exit status 5
├── NonFiniteError          a number is not finite; it was not saved     exit status 6
├── ResourceError           the disk or the memory does not suffice     exit status 7
├── OtherRankFailed         another process of the training failed      its exit status
├── RankLost                another process of the training is gone      exit status 76
├── Stopped                 asked to stop; everything is saved          exit status 130
│   └── Preempted           the same, asked by the machine              exit status 75
└── UserError               what was handed in can't be used            exit status 2
    ├── RecipeError         a recipe, with all its problems at once
    ├── UnknownName         no component of a kind has this name
    ├── ContractError       a class breaks the contract of its kind
    ├── PluginError         an installed package can't be used
    ├── DataError           images, labels or their folder
    │   └── UnknownSplit    a data set has no split of this name
    └── RunFolderError      a run folder that belongs to something else
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# What the system says where the disk or the memory does not suffice, or fails.
LACKING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class SslkitError(Exception):
    """Something failed; the message says where, what, and what is safe."""

    exit_status = 1


class CheckpointError(SslkitError):
    """A checkpoint, or another file that holds results, is missing, damaged, or not what is needed."""

    exit_status = 5


class NonFiniteError(SslkitError):
    """A loss, a gradient or a weight is not a finite number; raised before anything is updated, or saved, with it."""

    exit_status = 6


class ResourceError(SslkitError):
    """The disk or the memory does not suffice, or fails; what was written before is intact."""

    exit_status = 7


class OtherRankFailed(SslkitError):
    """Another process of the training failed; the message is empty where that one tells it to the same people."""

    def __init__(self, message: str, *, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class RankLost(SslkitError):
    """Another process of the training is gone, or does not answer."""

    exit_status = 76


class Stopped(SslkitError):
    """The user asked to stop; everything is saved."""

    exit_status = 130


class Preempted(Stopped):
    """SIGTERM or SIGUSR1 asked to stop; everything is saved, and the same command goes on."""

    exit_status = 75


class UserError(SslkitError):
    """What the user handed in can't be used."""

    exit_status = 2


class Problem(NamedTuple):
    """One thing that is wrong: `place` says where, `message` says what and the nearest right thing."""

    place: str
    message: str

    def __str__(self) -> str:
        key = self.place.removeprefix("--set ")
        return f"{self.place}: {self.message.removeprefix(f'{key}: ')}"  # an override's place is its key already


class RecipeError(UserError):
    """A recipe can't be used; holds all of its problems, one a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[RecipeError], tuple[tuple[Problem, ...]]]:
        """Pickle as the problems; workers send errors back."""
        return RecipeError, (self.problems,)


class UnknownName(UserError):
    """No component of a kind has this name."""


class ContractError(UserError):
    """A class breaks the contract of its kind."""


class PluginError(UserError):
    """An installed package offers a component that can't be used."""


class DataError(UserError):
    """Images, labels or their folder can't be used."""


class UnknownSplit(DataError):
    """A data set has no split of this name."""


class RunFolderError(UserError):
    """A run folder holds something that must not be written over."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'temperature'?` for a word close to a known one, whatever their case, else nothing."""
    names = list(known)
    same = [name for name in names if name.casefold() == word.casefold()]
    near = same or difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not near:
        folded = {name.casefold(): name for name in names}
        near = [folded[one] for one in difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)]
    return f" Did you mean {near[0]!r}?" if near else ""


def listed(names: Iterable[str]) -> str:
    """Names in one line, sorted: `adamw, lars, sgd`."""
    return ", ".join(sorted(names)) or "none"
