"""Known plugins: which package brings a component that is not installed, so that a missing name says what to install."""

from __future__ import annotations

_BROUGHT_BY: dict[str, dict[str, tuple[str, ...]]] = {
    "sslkit-byol": {"methods": ("byol", "simsiam")},
    "sslkit-moco": {"methods": ("moco", "instdisc")},
    "sslkit-swav": {"methods": ("swav",)},
    "sslkit-tensorboard": {"trackers": ("tensorboard",)},
    "sslkit-timm": {"backbones": ("timm",)},
    "sslkit-vicreg": {"losses": ("vicreg", "barlow_twins")},
    "sslkit-wandb": {"trackers": ("wandb",)},
}


def distribution_of(kind: str, name: str) -> str | None:
    """The package of the sslkit project that brings a component, or None.

    >>> distribution_of("losses", "vicreg")
    'sslkit-vicreg'
    """
    return next((package for package, kinds in _BROUGHT_BY.items() if name in kinds.get(kind, ())), None)
