"""Testing: the checks that every component of a kind has to pass, sslkit's own and those of packages.

One line in a package's tests makes a pytest case for each check of the kind:

    test_mine = conformance("losses", "mine")

The checks of a kind are small functions in the module of that name here; the docstring of a check is what it asks.
"""

from sslkit.testing.conformance import conformance
from sslkit.testing.ranks import on_ranks

__all__ = ["conformance", "on_ranks"]
