"""Subject: the component that is checked, and how its checks build it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sslkit.registry import Registry, registry_of


@dataclass(frozen=True)
class Subject:
    """A component by its kind and name, with the parameters that a recipe would give it.

    Args:
        kind: the plural, `losses`.
        name: as recipes name it.
        parameters: of its section, beside the defaults.
        size: side of the images that checks hand it, in pixels.
        component: its class; so that another process knows it, where no package brings it.
    """

    kind: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    size: int = 32
    component: type | None = None

    @property
    def registry(self) -> Registry:
        """The registry of its kind, in which it is known."""
        registry = registry_of(self.kind)
        if self.name not in registry.names() and self.component is not None:
            registry.register(self.name)(self.component)
        return registry

    def load(self) -> type:
        """Its class."""
        return self.registry.load(self.name)

    def make(self, **offered: Any) -> Any:
        """An instance, built as a recipe with these parameters would build it.

        Args:
            offered: what the framework offers to the kind, such as `in_channels`.
        """
        parameters, _ = self.registry.filled(self.name, self.parameters)
        return self.registry.build(self.name, parameters, **offered)
