"""The JSON Schema of a recipe, with the parameters of every installed component."""

from __future__ import annotations

from typing import Any

from sslkit import signatures
from sslkit.errors import UserError
from sslkit.registry import registry_of
from sslkit.sections import KIND_OF_LIST, KIND_OF_SECTION, Train


def recipe_schema() -> dict[str, Any]:
    """A schema that editors understand: each section is a union of its components, told apart by `name`.

    A plugin that can't be loaded is left out; a recipe that names it says why.
    """
    definitions: dict[str, Any] = {}
    kinds = sorted({*KIND_OF_SECTION.values(), *KIND_OF_LIST.values()})
    unions = {kind: _union(kind, definitions) for kind in kinds}
    definitions |= unions
    properties: dict[str, Any] = {key: {"$ref": f"#/$defs/{kind}"} for key, kind in KIND_OF_SECTION.items()}
    properties |= {key: {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}} for key, kind in KIND_OF_LIST.items()}
    view = {"augmentations": properties["augmentations"], "count": {"type": "integer", "minimum": 1, "default": 1}}
    properties["views"] = {
        "type": "array",
        "items": {"type": "object", "properties": view, "required": ["augmentations"], "additionalProperties": False},
    }
    properties["num_views"] = {"type": "integer", "minimum": 1, "default": 2}
    properties["train"] = _hoisted(Train.model_json_schema(ref_template="#/$defs/{model}"), definitions)
    properties["resolved"] = {"type": "object", "description": "written by a run, ignored on input"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of sslkit",
        "type": "object",
        "properties": properties,
        "required": ["backbone", "head", "optimizer", "data", "train"],
        "oneOf": [{"required": ["augmentations"]}, {"required": ["views"]}],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _union(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    references, mapping = [], {}
    for name in registry_of(kind).names():
        key = f"{kind}.{name}"
        try:
            model = registry_of(kind).model(name)
        except UserError:
            continue
        one = _hoisted(model.model_json_schema(ref_template="#/$defs/{model}"), definitions)
        one["properties"] = {"name": {"const": name}, **one.get("properties", {})}
        one["required"] = ["name", *one.get("required", [])]
        for parameter, inner in signatures.nested(registry_of(kind).load(name)).items():
            one["properties"][parameter]["items"] = {"$ref": f"#/$defs/{inner}"}
        definitions[key] = one
        references.append({"$ref": f"#/$defs/{key}"})
        mapping[name] = f"#/$defs/{key}"
    return {"oneOf": references, "discriminator": {"propertyName": "name", "mapping": mapping}}


def _hoisted(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    definitions.update(schema.pop("$defs", {}))
    return schema
