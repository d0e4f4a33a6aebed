"""Subject: the component that is checked, and how its checks build it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from sslkit import signatures
from sslkit.problems import problems_of
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

    def section(self) -> BaseModel:
        """Its section of a recipe with these parameters, read as a recipe is, and with every default."""
        return self.registry.model(self.name).model_validate_json(json.dumps(self.parameters, default=str))

    def problems(self) -> Iterator[str]:
        """What a recipe's check would say of the parameters that are given, or missing; a default is the component's own."""
        try:
            self.section()
        except ValidationError as error:
            known = list(signatures.keyword_only(self.load()))
            for path, sentence in problems_of(error, self.parameters, known=known, owner=repr(self.name)):
                if path[0] in self.parameters or sentence.startswith("is missing"):
                    yield f"{'.'.join(map(str, path))}: {sentence}"

    def make(self, **offered: Any) -> Any:
        """An instance, built as a recipe with these parameters would build it.

        Args:
            offered: what the framework offers to the kind, such as `in_channels`.
        """
        parameters, _ = self.registry.filled(self.name, self.parameters)
        return self.registry.build(self.name, parameters, **offered)
