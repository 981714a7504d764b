"""The structure of a document: which stored key is which field, and whether it can be answered as it is stored.

Most documents hold what JSON can say or what orjson writes by itself. For those no instance is built on a
read: the stored dict is checked, stripped of what the document does not know, and written. A document with
computed fields, serializers or types that need Pydantic's own serializer is not `direct`.
"""

import datetime
import enum
import ipaddress
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Union
from uuid import UUID

from beanie import BackLink, Link, PydanticObjectId
from beanie.odm.utils.encoder import Encoder
from bson import ObjectId
from pydantic import AnyUrl, BaseModel, PlainSerializer, RootModel, WrapSerializer
from pydantic.fields import FieldInfo

from regesta.annotations import within

DIRECT_TYPES = (
    *(str, int, float, bool, type(None), UUID, Decimal, ObjectId, PydanticObjectId, enum.Enum, AnyUrl),
    *(ipaddress.IPv4Address, ipaddress.IPv6Address),
)
CONTAINERS = (list, set, frozenset, tuple)
PLAIN_CONFIG = ("ser_json_inf_nan", "ser_json_temporal", "ser_json_timedelta", "ser_json_bytes", "json_encoders")


@dataclass(slots=True)
class Shape:
    """One model's fields by the key they are stored under. `direct`: see the module.

    `by_name`: the model reads its fields under their Python names, too.
    """

    model: type[BaseModel]
    fields: "dict[str, FieldShape]" = field(default_factory=dict)
    extra: bool = False
    direct: bool = True
    by_name: bool = False


@dataclass(slots=True)
class FieldShape:
    """One field: its Python name, the key in MongoDB, the key on the wire, and what lies below.

    `default` builds the stored form of the field's default, None where it has none. `convert` turns the
    stored value into what JSON shows. `container` tells how `child` stands in it.
    """

    name: str
    stored: str
    wire: str
    default: Callable[[], Any] | None = None
    convert: Callable[[Any], Any] | None = None
    child: Shape | None = None
    container: typing.Literal["one", "list", "dict"] = "one"
    link: bool = False


def shape_of(model: type[BaseModel], _open: Mapping[type, Shape] | None = None) -> Shape:
    """The shape of a document or of a model in it. Models may contain themselves."""
    shape = Shape(model)
    known = {**(_open or {}), model: shape}
    shape.extra = model.model_config.get("extra") == "allow"
    shape.by_name = any(model.model_config.get(key) for key in ("populate_by_name", "validate_by_name"))
    shape.direct = not (shape.extra or model.model_computed_fields or _has_serializers(model))
    shape.direct &= not any(key in model.model_config for key in PLAIN_CONFIG)
    for name, info in model.model_fields.items():
        if info.exclude and name != "revision_id":
            continue
        stored = info.alias or name
        described = FieldShape(name, stored, wire_name(name, info), default=_default_of(info))
        shape.direct &= _describe(info.annotation, info.metadata, described, known)
        if not is_back_link(info.annotation):
            shape.fields[stored] = described
    return shape


def wire_name(name: str, info: FieldInfo) -> str:
    """What clients call the field: its serialization alias or alias; `id` for a document's id."""
    if name == "id":
        return "id"
    return info.serialization_alias or info.alias or name


def input_name(name: str, info: FieldInfo) -> str:
    """What clients call the field when they send it."""
    if name == "id":
        return "id"
    alias = info.validation_alias
    return alias if isinstance(alias, str) else (info.alias or name)


def input_names_at(shape: Shape, path: Sequence[str | int]) -> Collection[str]:
    """Return the names that clients may send in the model at this path of a body; none if there is no model."""
    names = {input_name(found.name, shape.model.model_fields[found.name]): found for found in shape.fields.values()}
    if not path:
        return names
    field = names.get(str(path[0]))
    if field is None or field.child is None:
        return ()
    return input_names_at(field.child, path[1:] if field.container == "one" else path[2:])


def is_back_link(annotation: Any) -> bool:
    """Whether the annotation is Beanie's BackLink, alone or in a list or Optional."""
    origin = typing.get_origin(annotation) or annotation
    return origin is BackLink or any(is_back_link(part) for part in typing.get_args(annotation))


def linked_document(annotation: Any) -> Any:
    """The document class that a `Link[Author]`, alone or in a list or Optional, points to; else None."""
    if typing.get_origin(annotation) is Link:
        return typing.get_args(annotation)[0]
    return next((found for part in typing.get_args(annotation) if (found := linked_document(part))), None)


def _describe(annotation: Any, metadata: list[Any], found: FieldShape, known: Mapping[type, Shape]) -> bool:
    """Fill in what lies below the field; whether it is direct."""
    if any(isinstance(item, PlainSerializer | WrapSerializer) or _is_foreign(item) for item in metadata):
        return False
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _describe(arguments[0], list(arguments[1:]), found, known)
    if origin in (Union, types.UnionType):
        parts = [part for part in arguments if part is not type(None)]
        return _describe(parts[0], [], found, known) if len(parts) == 1 else all(map(_is_direct_leaf, parts))
    if origin is Link:
        found.link = True
        return True
    if origin in CONTAINERS or origin is dict:
        return _describe_container(origin, arguments, found, known)
    if _has_fields(annotation):
        found.child = known.get(annotation) or shape_of(annotation, known)
        return found.child.direct
    if annotation is datetime.date:
        found.convert = _date_only
        return True
    return _is_direct_leaf(annotation)


def _describe_container(
    origin: Any, arguments: tuple[Any, ...], found: FieldShape, known: Mapping[type, Shape]
) -> bool:
    inner = FieldShape("", "", "")
    parts = arguments[1:] if origin is dict else tuple(part for part in arguments if part is not Ellipsis)
    direct = all(_describe(part, [], inner, known) for part in parts)
    # As a key, True is stored as "True", and sent as "true".
    direct &= not (origin is dict and any(bool in within(key) for key in arguments[:1]))
    found.link = inner.link
    if inner.child:
        found.child, found.container = inner.child, "dict" if origin is dict else "list"
    nested = inner.convert is not None or (inner.child is not None and (inner.container != "one" or len(parts) > 1))
    return direct and not nested


def _has_fields(annotation: Any) -> bool:
    """Whether it is a model, and not one of which only the root is stored."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel)


def _is_direct_leaf(annotation: Any) -> bool:
    if annotation in (Any, dict, list, datetime.datetime):
        return True
    if typing.get_origin(annotation) is typing.Literal:
        return True
    return isinstance(annotation, type) and issubclass(annotation, DIRECT_TYPES)


def _is_foreign(item: Any) -> bool:
    """Metadata that may bring its own serializer; Pydantic's own validators and constraints do not."""
    brings_schema = hasattr(item, "__get_pydantic_core_schema__")
    return brings_schema and not type(item).__module__.startswith(("pydantic", "beanie", "annotated_types"))


def _has_serializers(model: type[BaseModel]) -> bool:
    decorators = model.__pydantic_decorators__
    return bool(decorators.field_serializers or decorators.model_serializers)


def _default_of(info: FieldInfo) -> Callable[[], Any] | None:
    if info.is_required():
        return None
    if info.default_factory is not None:
        return lambda: Encoder().encode(info.get_default(call_default_factory=True, validated_data={}))
    value = info.default.value if isinstance(info.default, enum.Enum) else info.default
    if info.default is None or isinstance(info.default, str | bool | int | float):
        return lambda: value
    return lambda: Encoder().encode(info.get_default())


def _date_only(value: Any) -> Any:
    return value.date() if isinstance(value, datetime.datetime) else value
