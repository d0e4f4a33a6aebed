"""Names: what a new package, its module, its class and its component are called, all from one word."""

from __future__ import annotations

import re
from typing import NamedTuple

from sslkit.errors import UnknownName, UserError
from sslkit.registry import registry_of

_WORD = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PREFIX = "sslkit-"


class Names(NamedTuple):
    """`sslkit-my-loss`, `sslkit_my_loss`, `MyLoss` and `my_loss`."""

    distribution: str
    module: str
    component_class: str
    component: str


def names_from(word: str, kind: str) -> Names:
    """The names that follow from a word.

    Args:
        word: what the user calls it, with or without `sslkit-`, in small letters, digits and `-` or `_`.
        kind: the plural, `losses`.

    Raises:
        UserError: it is no such word, there is no such kind, or a component of the kind has this name already.

    >>> names_from("my-loss", "losses")
    Names(distribution='sslkit-my-loss', module='sslkit_my_loss', component_class='MyLoss', component='my_loss')
    """
    try:
        registry = registry_of(kind)
    except UnknownName as error:
        raise UserError(f"--kind: {error}") from None
    own = word.replace("_", "-").removeprefix(_PREFIX)
    if not _WORD.fullmatch(own):
        near = "-".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", word).lower()))
        proposal = f" Did you mean {near!r}?" if _WORD.fullmatch(near) else ""
        raise UserError(f"NAME: {word!r}: write it in small letters, digits and '-', beginning with a letter.{proposal}")
    component = own.replace("-", "_")
    if claims := registry.claims().get(component):
        raise UserError(
            f"NAME: the {registry.one} {component!r} is there already, from {claims[0].distribution}. Choose another."
        )
    words = own.split("-")
    return Names(f"{_PREFIX}{own}", f"sslkit_{component}", "".join(one.capitalize() for one in words), component)
