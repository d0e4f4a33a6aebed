"""Listings: what is installed, as tables, and what is wrong with it; read from metadata, and imported only to be verified."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape
from rich.table import Table

from sslkit import plugins
from sslkit.errors import did_you_mean
from sslkit.registry import KINDS, registry_of
from sslkit.verification import verified


def components_table(kind: str | None) -> Table:
    """The names of a kind, or of all, and who claims them."""
    table = Table("kind", "name", "from")
    for one in [kind] if kind else KINDS:
        for name, claims in registry_of(one).claims().items():
            clash = " (clash)" if len(claims) > 1 else ""
            table.add_row(one, name, " and ".join(claim.distribution for claim in claims) + clash)
    return table


def offers_table() -> Table:
    """What each installed package offers."""
    table = Table("distribution", "kind", "name", "target")
    for offer in sorted(plugins.scan().offers, key=lambda offer: (offer.distribution, offer.kind, offer.name)):
        table.add_row(offer.distribution, offer.kind, offer.name, offer.target)
    return table


def verified_table() -> tuple[Table, int]:
    """The same, each component imported: what came of it, and how many can't be used."""
    table, failures = Table("distribution", "kind", "name", "import", "verified"), 0
    for offer, problem, seconds in verified():
        table.add_row(offer.distribution, offer.kind, offer.name, f"{seconds:.1f} s", escape(problem) or "fine")
        failures += bool(problem)
    return table, failures


def complaints() -> Iterator[str]:
    """A sentence for each package that can't be read, and for each name in a group that does not exist."""
    found = plugins.scan()
    for offer in found.offers:
        if offer.kind not in KINDS:
            near = did_you_mean(offer.kind, KINDS)
            yield f"{offer.distribution}: there is no kind {offer.kind!r}, so {offer.name!r} is never found.{near}"
    for broken in found.broken:
        yield f"{broken.distribution}: its entry points can't be read: {broken.reason}"
