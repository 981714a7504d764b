"""What a field's annotation says: the shape of what is stored, and the kind of one value."""

import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin
from uuid import UUID

from beanie import BackLink, Document, Link
from bson import ObjectId, Timestamp
from pydantic import AnyUrl, BaseModel, EmailStr, RootModel
from pydantic_core import Url

from regesta.annotations import aliased

from .values import (
    BOOLEAN,
    DAY,
    DECIMAL_NUMBER,
    DURATION,
    INTEGER,
    INTEGER_OR_NUMBER,
    MOMENT,
    NUMBER,
    OBJECT_ID,
    TEXT,
    UNIQUE_ID,
    Kind,
    choice,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotation, taken apart.

    core: what is left without Annotated, aliases, None and lists; a tuple of types for a union.
    many: a list is stored, of such values.
    nested: a list of lists (nothing of which can be named).
    """

    core: Any
    many: bool = False
    nested: bool = False


# In this order: bool is an int, datetime a date, an Enum often a str.
KINDS: tuple[tuple[type, Kind], ...] = (
    (bool, BOOLEAN),
    (int, INTEGER),
    (float, NUMBER),
    (str, TEXT),
    (datetime, MOMENT),
    (date, DAY),
    (Decimal, DECIMAL_NUMBER),
    (timedelta, DURATION),
    (UUID, UNIQUE_ID),
    (ObjectId, OBJECT_ID),
)

# Stored as text. A filter takes any text: one that is no address equals nothing.
STORED_AS_TEXT: tuple[type, ...] = (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    PurePath,
    AnyUrl,
    Url,
    EmailStr,
)


def shape(annotation: Any) -> Shape:
    """Take an annotation apart."""
    core = _bare(annotation)
    if isinstance(core, tuple):
        return Shape(core)
    origin = get_origin(core) or core
    if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet) and not issubclass(origin, str | bytes):
        inner = [argument for argument in get_args(core) if argument is not Ellipsis]
        item = shape(inner[0]) if len(inner) == 1 else Shape(Any)
        return Shape(item.core, many=True, nested=item.many)
    return Shape(core)


def model_of(core: Any) -> type[BaseModel] | None:
    """The sub-model, where the values are documents of a known model."""
    if isinstance(core, type) and issubclass(core, BaseModel) and not issubclass(core, RootModel):
        return core
    return None


def values_of_mapping(core: Any) -> Any:
    """The annotation of the values, where free keys with such values are stored; None otherwise."""
    origin = get_origin(core) or core
    if isinstance(origin, type) and issubclass(origin, Mapping):
        arguments = get_args(core)
        return arguments[1] if len(arguments) == 2 else Any  # noqa: PLR2004 - key and value
    return None


def linked_id(core: Any, module: str) -> Any:
    """The annotation of the linked document's id, for a Link; None otherwise."""
    model = model_of(_target(core, module))
    return model.model_fields["id"].annotation if model else None


def linked_to(document: type[Document], annotation: Any) -> type[Document] | None:
    """The document that a field of links to one, or of a list of them, points to; None for any other field."""
    target = _target(shape(annotation).core, document.__module__)
    return target if isinstance(target, type) and issubclass(target, Document) else None


def _target(core: Any, module: str) -> Any:
    if get_origin(core) is not Link:
        return None
    (target,) = get_args(core)
    if isinstance(target, ForwardRef):
        # Beanie resolves it in init_beanie, which has not happened yet.
        target = getattr(sys.modules.get(module), target.__forward_arg__, None)
    return target


def is_link(core: Any) -> bool:
    """Whether another document is referred to, from here or from there."""
    return get_origin(core) in (Link, BackLink)


def kind_of(core: Any) -> Kind | None:
    """The kind of such values; None where no text stands for one of them."""
    if isinstance(core, tuple):
        return INTEGER_OR_NUMBER if set(core) == {int, float} else None
    if get_origin(core) is Literal:
        return choice([member for member in get_args(core) if member is not None])
    if not isinstance(core, type):
        return None
    if issubclass(core, Enum):
        return choice(list(core))
    if issubclass(core, STORED_AS_TEXT):
        return TEXT
    return next((kind for type_, kind in KINDS if issubclass(core, type_)), None)


def is_timestamp(core: Any) -> bool:
    """Whether such values can be sorted by, although no text names one of them: timestamps of the cluster."""
    return core is Timestamp


def _bare(annotation: Any) -> Any:
    """Without Annotated, aliases, NewType, RootModel and None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif (named := aliased(annotation)) is not None:
            annotation = named
        elif get_origin(annotation) in (Union, UnionType):
            members = [_bare(member) for member in get_args(annotation) if member is not NoneType]
            if len(members) != 1:
                return tuple(members)
            annotation = members[0]
        elif isinstance(annotation, type) and issubclass(annotation, RootModel):
            annotation = annotation.model_fields["root"].annotation
        else:
            return annotation
