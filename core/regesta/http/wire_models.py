"""Models that stand for JSON Schemas, so that FastAPI shows them among the components of its OpenAPI."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema

from regesta.schemas.parts import JsonSchema, divided

Documented = type[BaseModel]


class WireModel(BaseModel):
    """Stands for a JSON Schema where FastAPI wants a model; nothing is validated by it.

    Its fields are the models that the schema refers to: by their names in the schema's `$ref`s.
    """

    wire_schema: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema, without a title: generators of clients would take it for the name, also where two have it.

        Enumerations keep theirs: so they are one with those that FastAPI finds elsewhere.
        """
        parts = handler(core_schema)["properties"] if cls.model_fields else {}
        shown = _referring(cls.wire_schema, parts)
        return {key: value for key, value in shown.items() if key != "title" or "enum" in shown}


def documented(
    document: type[Any],
    ending: str,
    schema: JsonSchema,
    part_ending: str = "",
    models: Mapping[str, Documented] | None = None,
) -> Documented:
    """A model that shows this schema; the same one for the same schema, so that two routers share it.

    It is called as the document with the ending. The models inside become components of their own, whose names
    end in `part_ending`; names that two documents use for different schemas are told apart by the documents'
    modules. `models` are those that the schema refers to: `{"$ref": "Problem"}`.
    """
    parts: dict[str, Documented] = dict(models or {})

    def refer(part: str, schema: JsonSchema) -> str:
        digest = hashlib.blake2b(_text(schema).encode(), digest_size=16).hexdigest()
        field = f"part_{part}_{digest}"
        parts[field] = model(part, schema)
        return field

    def model(name: str, schema: JsonSchema) -> Documented:
        used = tuple((field, parts[field]) for field in sorted(_referred(schema, parts)))
        return _model(document.__module__, name, _text(schema), used)

    return model(document.__name__ + ending, divided(schema, part_ending, refer))


@cache
def _model(module: str, name: str, schema: str, parts: tuple[tuple[str, Documented], ...]) -> Documented:
    fields: dict[str, Any] = {field: (model, ...) for field, model in parts}
    model = create_model(name, __base__=WireModel, __module__=module, **fields)
    model.wire_schema = json.loads(schema)
    return model


def _text(schema: JsonSchema) -> str:
    return json.dumps(schema, sort_keys=False, default=str)


def _referred(node: Any, parts: Mapping[str, Documented]) -> set[str]:
    if isinstance(node, list):
        return {field for item in node for field in _referred(item, parts)}
    if not isinstance(node, dict):
        return {node} if isinstance(node, str) and node in parts else set()
    return {field for value in node.values() for field in _referred(value, parts)}


def _referring(node: Any, parts: Mapping[str, Any]) -> Any:
    """With references to components, as the generator of the whole document wants them."""
    if isinstance(node, list):
        return [_referring(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _referring(value, parts) for key, value in node.items()}
    return {**found, **parts[node["$ref"]]} if node.get("$ref") in parts else found
