"""Failures: an error that a check looks for becomes the assertion that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_error(what: str) -> Iterator[None]:
    """AssertionError, `what: ErrorClass: its message`, if the component raises something in here.

    Only for what a check asks about. Whatever else a component raises stays what it is, and an exception that was declared for
    the check does not cover it.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
