"""The fields that a query may name: what they are called on the wire, and where they are stored."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from beanie import Document
from pydantic import BaseModel, PlainSerializer, WrapSerializer
from pydantic.fields import FieldInfo

from regesta.annotations import within
from regesta.errors import DeclarationError
from regesta.markers import Marker, is_name, markers_of
from regesta.resource import Resource

from .annotations import (
    Shape,
    is_link,
    is_timestamp,
    kind_of,
    linked_id,
    model_of,
    shape,
    values_of_mapping,
)
from .entries import Keyed, keyed
from .indexes import indexes
from .values import TEXT, Kind, as_names, stored

# `fields=` can name what lies this deep; a model within itself is not entered again.
MAX_DEPTH = 5

HIDING = frozenset({Marker.WRITE_ONLY, Marker.SECRET})


@dataclass(frozen=True, slots=True)
class QueryField:
    """One field that a query can name.

    wire: its dotted name for clients. stored: its dotted path in MongoDB.
    kind: how its values are read and stored; None where no text stands for a value.
    many: the path goes to or through a list. across: it goes through one.
    scalar: one plain value is stored there, so documents can be sorted by it.
    lists: how many lists the path goes through or to. custom: the application's own serializer makes its JSON.
    keyed: values are found in it by keys.
    """

    wire: str
    stored: str
    kind: Kind | None
    many: bool
    across: bool
    scalar: bool
    description: str = ""
    lists: int = 0
    custom: bool = False
    keyed: Keyed | None = None

    @property
    def is_comparable(self) -> bool:
        """Whether a filter can say anything of it."""
        return self.kind is not None or self.keyed is not None


class Catalogue:
    """Finds the fields of one resource's document by their wire names."""

    def __init__(self, resource: Resource[Any]) -> None:
        self._resource = resource
        self.document: type[Document] = resource.document
        self._never = resource.hidden | {"revision_id"}
        settings = getattr(self.document, "Settings", None)
        self._encoders: Mapping[type, Callable[[Any], Any]] = getattr(settings, "bson_encoders", None) or {}
        self._said = f"resource {resource.name!r}"
        complete(self.document)

    def field(self, wire: str) -> QueryField:
        """The field of this wire name.

        Raises DeclarationError where there is none, or clients must not know its values.
        """
        return self._field(wire, wire_name)

    def at(self, path: str) -> QueryField | None:
        """The field that is stored at this path; None where there is none or clients must not know it."""
        try:
            return self._field(path.removesuffix(".$id"), stored_name)
        except DeclarationError:
            return None

    def _field(self, name: str, naming: "Naming") -> QueryField:
        walk = _Walk(self.document, name, naming, self._never)
        try:
            walk.run()
        except LookupError as error:
            raise DeclarationError(f"{self._said}: {error}") from None
        core = walk.shape.core
        kind = None if walk.shape.nested else kind_of(core)
        if is_link(core):
            identity = linked_id(core, self.document.__module__)
            kind = kind_of(shape(identity).core) if identity else None
            walk.stored.append("$id")
        return QueryField(
            ".".join(walk.wire),
            ".".join(walk.stored),
            stored(as_names(kind) if kind is TEXT and walk.named else kind, self._encoders) if kind else None,
            many=walk.across or walk.shape.many,
            across=walk.across,
            scalar=(kind is not None or is_timestamp(core)) and not walk.across and not walk.shape.many,
            description=walk.description,
            lists=walk.lists + walk.shape.many,
            custom=walk.custom,
            keyed=walk.keyed,
        )

    def indexed(self) -> Iterator[tuple[QueryField, bool]]:
        """The fields that indexes name, with whether the index is in order of their values.

        Without those that a model of the application's own does not show: nobody has to know what is filtered by.
        """
        for path, direction in (key for index in indexes(self.document) for key in index.keys):
            field = self.at(path)
            if field is not None and direction in (1, -1, "hashed") and self._shows(path):
                yield field, direction != "hashed"

    def _shows(self, path: str) -> bool:
        read = self._resource.schemas.read
        if read is None:
            return True
        shown = {str(info.validation_alias or name) for name, info in read.model_fields.items()}
        # Of what lies below, the model may leave some out.
        return any((info.alias or name) == path and name in shown for name, info in self.document.model_fields.items())


Naming = Callable[[type[BaseModel], str, FieldInfo], str]


def wire_name(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    """What clients call a field: its alias; `id` for the id of a document."""
    if name == "id" and issubclass(model, Document):
        return name
    return field.serialization_alias or field.alias or name


def stored_name(model: type[BaseModel], name: str, field: FieldInfo) -> str:  # noqa: ARG001 - a Naming
    """What Beanie calls a field in MongoDB."""
    return field.alias or name


def hidden(field: FieldInfo) -> bool:
    """Whether clients never see the field."""
    return bool(markers_of(field) & HIDING) or field.exclude is True


def has_serializer(model: type[BaseModel], name: str, field: FieldInfo) -> bool:
    """Whether a serializer of the application's own makes the field's JSON."""
    decorators = model.__pydantic_decorators__
    named = {found for decorator in decorators.field_serializers.values() for found in decorator.info.fields}
    if decorators.model_serializers or named & {name, "*"}:
        return True
    said = (*field.metadata, *within(field.annotation))
    return any(isinstance(item, PlainSerializer | WrapSerializer) for item in said)


def complete(model: type[BaseModel]) -> None:
    """Resolve names in annotations that were not defined yet when the class was."""
    if not model.__pydantic_complete__:
        model.model_rebuild(raise_errors=False)


class _Walk:
    """The way from the document along one dotted name, to a field or into a mapping."""

    def __init__(self, document: type[BaseModel], name: str, naming: Naming, never: frozenset[str]) -> None:
        self.shape = Shape(document)
        self.across = False
        self.lists = 0
        self.custom = False
        self.wire: list[str] = []
        self.stored: list[str] = []
        self.description = ""
        self.keyed: Keyed | None = None
        self.named = False
        self._name = name
        self._naming = naming
        self._never = never

    def run(self) -> None:
        """Walk to the end; LookupError says where the way is barred."""
        for segment in self._name.split("."):
            if self.shape.nested:
                raise LookupError(f"{self._name!r} leads through lists of lists")
            self.across |= self.shape.many
            self.lists += self.shape.many
            self.keyed = None
            model = model_of(self.shape.core)
            values = values_of_mapping(self.shape.core)
            if model:
                self._enter(model, segment)
            elif values is not None and segment and not segment.startswith("$"):
                self.shape = shape(values)
                self.wire.append(segment)
                self.stored.append(segment)
            else:
                raise LookupError(f"there is no field {self._name!r}")

    def _enter(self, model: type[BaseModel], segment: str) -> None:
        complete(model)
        for name, field in model.model_fields.items():
            if self._naming(model, name, field) == segment:
                break
        else:
            known = ", ".join(self._naming(model, name, field) for name, field in model.model_fields.items())
            raise LookupError(f"there is no field {self._name!r}: {model.__name__} has {known}")
        if hidden(field) or (not self.wire and name in self._never):
            raise LookupError(f"clients must not know the values of {self._name!r}")
        self.wire.append(wire_name(model, name, field))
        self.stored.append(stored_name(model, name, field))
        self.description = field.description or ""
        self.custom |= has_serializer(model, name, field)
        self.shape = shape(field.annotation)
        self.named = is_name(field)
        # In a list of lists no comparison could tell which of them it is about.
        self.keyed = None if self.across else keyed(field)


def visible(resource: Resource[Any]) -> dict[str, str]:
    """What `fields=` can name: wire names to stored paths (to its name for a computed field)."""
    document = resource.document
    complete(document)
    never = resource.hidden
    shown = resource.schemas.read
    if shown is None:
        paths = dict(_visible(document, never, "", "", (document,)))
        model: type[BaseModel] = document
    else:
        # A model of the application's own: its top level, by the stored field of the same name.
        model = shown
        known = document.model_fields
        paths = {
            wire_name(document if name in known else shown, name, field): (
                stored_name(document, name, known[name]) if name in known else name
            )
            for name, field in shown.model_fields.items()
            if name not in never and not hidden(field)
        }
    for name, computed in model.model_computed_fields.items():
        paths.setdefault(computed.alias or name, name)
    return paths


def _visible(
    model: type[BaseModel], never: frozenset[str], wire: str, path: str, within: tuple[type, ...]
) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if hidden(field) or (not wire and name in never):
            continue
        here = wire + wire_name(model, name, field)
        there = path + stored_name(model, name, field)
        yield here, there
        form = shape(field.annotation)
        inner = model_of(form.core)
        if inner and inner not in within and len(within) < MAX_DEPTH and not form.nested:
            complete(inner)
            yield from _visible(inner, never, f"{here}.", f"{there}.", (*within, inner))
