"""Offers: what plugins bring, and which of it can't be used."""

from __future__ import annotations

from collections.abc import Iterator

from sslkit.doctor.findings import Asked, Finding, ok, warning

_ADVICE = "Install another version of that package, or uninstall it."


def plugins(_: Asked) -> Iterator[Finding]:
    """A line a distribution with the names that can be used, and one for each that can't; all are imported for that."""
    from sslkit.listing import complaints
    from sslkit.verification import verified

    names: dict[str, dict[str, list[str]]] = {}
    failures = []
    for offer, problem, _seconds in verified():
        if not problem:
            names.setdefault(offer.distribution, {}).setdefault(offer.kind, []).append(offer.name)
        else:
            failures.append(warning(offer.distribution, f"{offer.kind}/{offer.name}: {problem}", _ADVICE))
    for distribution, kinds in names.items():
        yield ok(distribution, "; ".join(f"{kind}: {', '.join(found)}" for kind, found in kinds.items()))
    yield from failures
    for sentence in complaints():
        yield warning("plugins", sentence, _ADVICE)
    if not names and not failures:
        yield ok("plugins", "no installed package offers a component")
