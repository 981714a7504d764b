"""What OpenAPI says of the bodies that no model describes: JSON Patches, and batches with their results."""

from collections.abc import Mapping
from typing import Any

from regesta.declarations import Operation
from regesta.http.batch_bodies import members_of
from regesta.operations import Operations
from regesta.schemas import json_schemas
from regesta.schemas.parts import named


def batch_schema(operations: Operations[Any]) -> dict[str, Any]:
    """The body of a batch."""
    codec, name = operations.codec, operations.resource.document.__name__
    patch = named(json_schemas.patch_schema(codec), f"{name}Patch")
    bodies: dict[Operation, Any] = {
        Operation.CREATE: named(json_schemas.create_schema(codec), f"{name}Create"),
        Operation.REPLACE: named(json_schemas.replace_schema(codec), f"{name}Replace"),
        Operation.PATCH: {"anyOf": [patch, named(JSON_PATCH, "JsonPatch")]},
    }
    kinds = [_operation(operations, found, bodies.get(found)) for found in operations.resource.in_batches]
    return {
        "type": "object",
        "required": ["operations"],
        "additionalProperties": False,
        "properties": {
            "atomic": {
                "type": "boolean",
                "default": True,
                "description": "All or none of them, in one transaction; else each by itself.",
            },
            "operations": {
                "type": "array",
                "minItems": 1,
                "maxItems": operations.resource.max_batch,
                "items": {"anyOf": kinds},
            },
        },
    }


def results_schema(name: str, read: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a batch of documents of this name."""
    result = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "integer", "description": "What a single write would have been answered."},
            "key": {"type": "string"},
            "etag": {"type": "string", "description": "As in the ETag header, for a later `if_match`."},
            "item": named(dict(read), name),
            "problem": {"$ref": "Problem"},
        },
    }
    return {
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": named(result, f"{name}BatchResult")}},
    }


def _operation(operations: Operations[Any], operation: Operation, body: Any) -> dict[str, Any]:
    shown = {
        "op": {"type": "string", "const": operation.value},
        "key": json_schemas.TEXT,
        "body": body,
        "if_match": {"type": "string", "pattern": r'^(?:\*|"[0-9a-f]{1,64}")$'},
        "allow_missing": {"type": "boolean", "default": False},
        "cascade": {"type": "boolean", "default": False},
    }
    members = members_of(operations, operation)
    schema = {
        "type": "object",
        "required": [name for name, needed in members.items() if needed],
        "additionalProperties": False,
        "properties": {name: shown[name] for name in members},
    }
    return named(schema, f"{operations.resource.document.__name__}Batch{operation.capitalize()}")


_POINTER = {"type": "string", "pattern": r"^(/([^~\u0000]|~[01])*)+$", "description": "A JSON Pointer (RFC 6901)."}
_SCALAR = {
    "anyOf": [
        json_schemas.TEXT,
        {"type": "integer", **json_schemas.INT64},
        {"type": "number", "minimum": -1e300, "maximum": 1e300},
        {"type": "boolean"},
        {"type": "null"},
    ]
}
_KEYS = {"pattern": json_schemas.FREE_KEYS}
# A JSON value that can be stored, as far as a schema that does not refer to itself can say.
_VALUE = {
    "anyOf": [
        *_SCALAR["anyOf"],
        {"type": "array", "items": _SCALAR},
        {"type": "object", "additionalProperties": _SCALAR, "propertyNames": _KEYS},
    ]
}
_OTHERS = {"additionalProperties": _SCALAR, "propertyNames": _KEYS}


def _change(name: str, op: dict[str, Any], **members: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["op", "path", *members],
        "properties": {"op": {"type": "string", **op}, "path": _POINTER, **members},
        **_OTHERS,
    }
    return named(schema, name)


JSON_PATCH: dict[str, Any] = {
    "title": "JsonPatch",
    "description": "A JSON Patch (RFC 6902).",
    "type": "array",
    "items": {
        "anyOf": [
            _change("JsonPatchValue", {"enum": ["add", "replace", "test"]}, value=_VALUE),
            _change("JsonPatchRemove", {"const": "remove"}),
            _change("JsonPatchFrom", {"enum": ["move", "copy"]}, **{"from": _POINTER}),
        ]
    },
}
