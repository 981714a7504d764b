"""JSON Schemas of what clients send and get, for OpenAPI. They say what is accepted as exactly as they can.

The models inside are marked (see `parts`): `plain` or `divided` makes a JSON Schema for others of it.
"""

from collections.abc import Collection
from typing import Any, Literal, get_args, get_origin
from weakref import WeakKeyDictionary

from beanie import Document, Link
from pydantic import BaseModel, ConfigDict, PydanticInvalidForJsonSchema, TypeAdapter, create_model

from regesta.annotations import takes_none
from regesta.errors import DeclarationError
from regesta.int64 import INT64_MAX, INT64_MIN
from regesta.resource import Resource
from regesta.schemas.codec import Codec
from regesta.schemas.parts import JsonSchema, inlined, plain, variant
from regesta.schemas.shape import CONTAINERS, linked_document

Mode = Literal["validation", "serialization"]

NO_NUL = r"^[^\u0000]*$"
FREE_KEYS = r"^[^$.\u0000][^.\u0000]*$"
TEXT = {"type": "string", "pattern": NO_NUL}
LITERAL = ("default", "examples", "example", "enum", "const")  # their values are no schemas
INT64 = {"minimum": INT64_MIN, "maximum": INT64_MAX}


def create_schema(codec: Codec[Any]) -> JsonSchema:
    """The body of POST."""
    return _exemplified(_body(codec, codec.resource.schemas.create))


def replace_schema(codec: Codec[Any]) -> JsonSchema:
    """The body of PUT: without the key, which stands in the path; what clients never see may be left out."""
    schema = _body(codec, codec.resource.schemas.replace)
    key = codec.wire_names.get(codec.resource.key)
    properties = {name: found for name, found in schema.get("properties", {}).items() if name != key}
    optional = {key, *(codec.input_names.get(name) for name in codec.hidden)}
    required = [name for name in schema.get("required", []) if name not in optional]
    return _exemplified(_required({**schema, "properties": properties}, required))


def patch_schema(codec: Codec[Any]) -> JsonSchema:
    """A JSON Merge Patch: every field may be left out, and null puts one back to its default where it has one.

    So it is inside of objects, which are merged too; arrays are replaced as a whole.
    """
    schema = _body(codec, codec.resource.schemas.patch)
    fixed = {codec.input_names.get(name) for name in codec.resource.immutable}
    required = {codec.input_names.get(name) for name, info in codec.document.model_fields.items() if info.is_required()}
    properties = {
        name: _merged(found) if name in required else _nullable(_merged(found))
        for name, found in schema.get("properties", {}).items()
        if name not in fixed
    }
    return _exemplified(_required({**schema, "properties": properties}, []))


def without(schema: JsonSchema, names: Collection[str | None]) -> JsonSchema:
    """The schema of a body that does not have these members."""
    if not names:
        return schema
    kept = {name: found for name, found in schema.get("properties", {}).items() if name not in names}
    return _required({**schema, "properties": kept}, [name for name in schema.get("required", []) if name not in names])


def read_schema(codec: Codec[Any]) -> JsonSchema:
    """What clients get. Only the key is sure to be there: `fields=` leaves out, and old documents may lack fields."""
    own = codec.resource.schemas.read
    if own is not None:
        return _required(inlined(own.model_json_schema(mode="serialization")), [])
    schema = _renamed(_document_schema(codec.document, "serialization"), codec.document)
    hidden = {codec.wire_names.get(name, name) for name in codec.hidden} | {"revision_id"}
    schema["properties"] = {name: found for name, found in schema["properties"].items() if name not in hidden}
    found: JsonSchema = _without_defaults(_required(schema, [codec.wire_names[codec.resource.key]]))
    return _exemplified(found)


def key_schema(resource: Resource[Any]) -> JsonSchema:
    """The key as a path parameter."""
    return _key_schema(resource.document, resource.key)


def _key_schema(document: type[Document], name: str) -> JsonSchema:
    annotation = document.model_fields[name].annotation
    schema = inlined(TypeAdapter(annotation).json_schema())
    schema = next((found for found in schema.get("anyOf", [schema]) if found.get("type") != "null"), schema)
    schema = {name: value for name, value in schema.items() if name not in ("title", "example", "default")}
    if schema == {"type": "string"}:
        return {"type": "string", "minLength": 1}
    tightened: JsonSchema = plain(_tightened(schema))
    return tightened


def _body(codec: Codec[Any], own: type[BaseModel] | None) -> JsonSchema:
    if own is not None:
        tightened: JsonSchema = _tightened(inlined(own.model_json_schema(mode="validation")))
        return tightened
    schema = _renamed(_document_schema(codec.document, "validation"), codec.document)
    schema["properties"] = {name: found for name, found in schema["properties"].items() if name in codec.inputs}
    schema["additionalProperties"] = codec.shape.extra
    required = [name for name in schema.get("required", []) if name in codec.inputs]
    return _required(_tightened(schema), required)


def _document_schema(document: type[Document], mode: Mode) -> JsonSchema:
    """From Pydantic only once for each state of the class: a document is described many times over."""
    known, state = _known.setdefault(document, {}), document.__pydantic_core_schema__
    if mode not in known or known[mode][0] is not state:
        try:
            known[mode] = (state, document.model_json_schema(by_alias=True, mode=mode))
        except PydanticInvalidForJsonSchema as error:
            raise _without_json(document, mode) from error
    return inlined(known[mode][1])


def _without_json(document: type[Document], mode: Mode) -> DeclarationError:
    """The error that names the field which Pydantic cannot describe."""
    name = next((found for found in map(str, document.model_fields) if _fails(document, found, mode)), "")
    annotation = document.model_fields[name].annotation if name else document
    return DeclarationError(
        f"{document.__name__}.{name}: JSON has no form for {annotation!r}. Take a type that Pydantic knows "
        "(PydanticObjectId for ObjectId, Decimal for Decimal128, bytes for Binary, Pattern for Regex, int for Int64) "
        "or say how it is read and written (`BeforeValidator`, `PlainSerializer`, `WithJsonSchema`)"
    )


def _fails(document: type[Document], name: str, mode: Mode) -> bool:
    info = document.model_fields[name]
    try:
        alone: Any = create_model(
            "Alone", __config__=ConfigDict(arbitrary_types_allowed=True), value=(info.annotation, info)
        )
        alone.model_json_schema(mode=mode)
    except PydanticInvalidForJsonSchema:
        return True
    return False


_known: WeakKeyDictionary[type[Document], dict[Mode, tuple[Any, JsonSchema]]] = WeakKeyDictionary()


def _renamed(schema: JsonSchema, document: type[Document]) -> JsonSchema:
    """`_id` becomes `id`, links become the id of what they point to."""
    properties = dict(schema.get("properties", {}))
    if "_id" in properties:
        properties = {"id": properties.pop("_id"), **properties}
    for name, info in document.model_fields.items():
        linked = linked_document(info.annotation)
        alias = info.serialization_alias or info.alias or name
        if linked is not None and alias in properties:
            properties[alias] = _link_schema(info.annotation, _key_schema(linked, "id"))
    required = ["id" if name == "_id" else name for name in schema.get("required", [])]
    schema = {key: value for key, value in schema.items() if key != "required"}
    return {**schema, "properties": properties, "required": required}


def _link_schema(annotation: Any, one: JsonSchema) -> JsonSchema:
    """The annotation with `one` in place of each link."""
    if get_origin(annotation) is Link:
        return one
    parts = [_link_schema(part, one) for part in get_args(annotation) if linked_document(part)]
    if takes_none(annotation):
        return _nullable(parts[0])
    if get_origin(annotation) is dict:
        return {"type": "object", "additionalProperties": parts[0]}
    return {"type": "array", "items": parts[0]} if get_origin(annotation) in CONTAINERS else parts[0]


def _nullable(schema: JsonSchema) -> JsonSchema:
    choices = schema.get("anyOf", [schema])
    if any(choice.get("type") == "null" for choice in choices):
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*choices, {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _merged(schema: JsonSchema) -> JsonSchema:
    """What a merge patch may send for a value of this schema. What it leaves out has no default: it stays."""
    schema = {key: value for key, value in schema.items() if key != "default"}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_merged(choice) for choice in schema["anyOf"]]}
    if schema.get("type") != "object":
        return schema
    merged, required = variant(schema, "Patch"), schema.get("required", ())
    if "properties" in schema:
        merged["properties"] = {
            name: _merged(found) if name in required else _nullable(_merged(found))
            for name, found in schema["properties"].items()
        }
    if isinstance(schema.get("additionalProperties"), dict):
        merged["additionalProperties"] = _nullable(_merged(schema["additionalProperties"]))
    return _required(merged, [])


def _exemplified(schema: JsonSchema) -> JsonSchema:
    """With the examples of the document's own, as far as they can be seen or sent here."""
    if not isinstance(schema.get("examples"), list):
        return schema
    known, required = schema.get("properties", {}).keys(), set(schema.get("required", ()))
    shown = [
        {name: value for name, value in example.items() if name in known}
        for example in schema["examples"]
        if isinstance(example, dict) and required <= example.keys()
    ]
    rest = {key: value for key, value in schema.items() if key != "examples"}
    return {**rest, "examples": shown} if shown else rest


def _without_defaults(node: Any) -> Any:
    """What `fields=` leaves out has a value, which need not be the default."""
    if isinstance(node, list):
        return [_without_defaults(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _without_defaults(below) for name, below in value.items()}
        if key == "properties"
        else value
        if key in LITERAL
        else _without_defaults(value)
        for key, value in node.items()
        if key != "default"
    }


def _required(schema: JsonSchema, names: list[str]) -> JsonSchema:
    rest = {key: value for key, value in schema.items() if key != "required"}
    return {**rest, "required": names} if names else rest


def _tightened(node: Any) -> Any:
    """With what every body must keep to: int64, no NUL, no unknown fields, storable keys."""
    if isinstance(node, list):
        return [_tightened(item) for item in node]
    if not isinstance(node, dict):
        return node
    tight = {
        key: {name: _tightened(below) for name, below in value.items()} if key == "properties" else _tightened(value)
        for key, value in node.items()
        if key not in LITERAL
    } | {key: node[key] for key in LITERAL if key in node}
    kind = node.get("type")
    if kind == "integer" and "enum" not in node:
        tight = {**INT64, **tight}
    elif kind == "string" and not tight.keys() & {"enum", "const", "format", "pattern"}:
        tight["pattern"] = NO_NUL
    elif kind == "object" and "properties" in node:
        tight.setdefault("additionalProperties", False)
    elif kind == "object" and node.get("additionalProperties") is not False:
        tight.setdefault("propertyNames", {"pattern": FREE_KEYS})
    return tight
