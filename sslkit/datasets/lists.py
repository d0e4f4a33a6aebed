"""Lists: text files that say, line by line, which images a split has and of which class they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sslkit.errors import DataError, did_you_mean


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without spaces around them; DataError if it can't be read or has none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise DataError(f"{str(path)!r}: can't be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r}: is not a text file in UTF-8.") from error
    while lines and not lines[-1]:
        del lines[-1]
    if not lines:
        raise DataError(f"{str(path)!r}: is empty.")
    return lines


def read_list(path: Path, entry: Callable[[str], tuple[str, str]], classes: Sequence[str]) -> dict[str, int]:
    """The images that a list names, each with the number of its class.

    Args:
        path: the list.
        entry: a line -> the name of the image's file and of its class; it raises ValueError if the line is of another form.
        classes: the names of the classes, in the order of their numbers.

    Raises:
        DataError: the list can't be read, or a line has another form, an unknown class, or an image that another line has too.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    found: dict[str, int] = {}
    for at, line in enumerate(read_lines(path), start=1):
        try:
            name, of_class = entry(line)
        except ValueError as error:
            raise DataError(f"{str(path)!r}, line {at}: is not of the form that is usual there: {line[:80]!r}.") from error
        if of_class not in numbers:
            near = did_you_mean(of_class, classes)
            raise DataError(f"{str(path)!r}, line {at}: none of the {len(classes)} classes is called {of_class!r}.{near}")
        if name in found:
            raise DataError(f"{str(path)!r}, line {at}: names {name!r}, which another line names too.")
        found[name] = numbers[of_class]
    return found


def numbered(path: Path, names: Sequence[str], numbers: Sequence[Any], *, num_classes: int) -> dict[str, int]:
    """Images and the numbers of their classes, counted from 1 in the file `path`, as labels from 0.

    Raises:
        DataError: a number is no class, or an image stands there twice.
    """
    wrong = [number for number in numbers if number not in range(1, num_classes + 1)]
    if wrong:
        raise DataError(f"{str(path)!r}: classes should lie in 1..{num_classes}, but one is {wrong[0]!r}.")
    found = {name: int(number) - 1 for name, number in zip(names, numbers, strict=True)}
    if len(found) != len(names):
        raise DataError(f"{str(path)!r}: names {len(names) - len(found)} images more than once.")
    return found
