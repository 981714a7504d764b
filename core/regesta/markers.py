"""Markers for document fields: `Annotated[datetime, ReadOnly]`.

They say who may write and see a field on the wire. They change nothing in MongoDB and nothing for
code that uses the document directly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo


class Marker(Enum):
    """How a field is treated on the wire."""

    READ_ONLY = "read_only"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "write_only"
    SECRET = "secret"  # noqa: S105 - the name of the marker, not a secret


ReadOnly = Marker.READ_ONLY
"""Set by the server (a default, a hook, Beanie): a client that sends it gets 422."""

Immutable = Marker.IMMUTABLE
"""Given at creation, never changed afterwards: a write that changes it gets 422."""

WriteOnly = Marker.WRITE_ONLY
"""Accepted from clients, never returned, neither filtered nor sorted by."""

Secret = Marker.SECRET
"""As WriteOnly, and redacted in the audit trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Marks a list of models whose entries are found by a key: `Annotated[list[Tag], Entries(key="key")]`.

    A resource that lists the field in `filters` takes `tags.family = "vit"` in expressions: of one entry, `key` is
    the first and `value` the second. `qualifiers` name fields that may be said after the key, so that the comparison
    is of an entry that has those too: with `("dataset",)`, `metrics.top1.imagenet > 85`. All are Python names.
    """

    key: str = "key"
    value: str = "value"
    qualifiers: tuple[str, ...] = ()


def entries_of(field: FieldInfo) -> Entries | None:
    """How the entries of a field are found by their keys, where it is marked so."""
    return next((item for item in _items(field.metadata, field.annotation) if isinstance(item, Entries)), None)


def _items(metadata: Iterable[Any], annotation: Any) -> Iterator[Any]:
    yield from metadata
    for part in get_args(annotation):
        yield from _items(getattr(part, "__metadata__", ()), part)


def fields_marked(document: type[BaseModel], *markers: Marker) -> frozenset[str]:
    """The names of the document's fields (Python names) that carry one of the markers.

    `Annotated[str, Secret] | None` counts as `Annotated[str | None, Secret]` does, and Pydantic's SecretStr and
    SecretBytes as Secret: their masked form must never come back as a value.
    """
    return frozenset(
        name
        for name, field in document.model_fields.items()
        if _carries(field.metadata, markers) or _carries_below(field.annotation, markers)
    )


def marked_below(document: type[BaseModel]) -> Iterator[str]:
    """The dotted names of marked fields of models inside of the document, where markers mean nothing."""
    seen: set[type[BaseModel]] = {document}
    open_: list[tuple[str, Any]] = [(name, field.annotation) for name, field in document.model_fields.items()]
    while open_:
        path, annotation = open_.pop()
        open_ += [(path, part) for part in get_args(annotation)]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or annotation in seen:
            continue
        if hasattr(annotation, "get_settings"):  # a linked document has a resource of its own
            continue
        seen.add(annotation)
        yield from (f"{path}.{name}" for name in sorted(fields_marked(annotation, *Marker)))
        open_ += [(f"{path}.{name}", field.annotation) for name, field in annotation.model_fields.items()]


def _carries(metadata: Iterable[Any], markers: tuple[Marker, ...]) -> bool:
    return any(isinstance(item, Marker) and item in markers for item in metadata)


def _carries_below(annotation: Any, markers: tuple[Marker, ...]) -> bool:
    found = get_args(annotation)
    if get_origin(annotation) is Annotated and _carries(found[1:], markers):
        return True
    if annotation in (SecretStr, SecretBytes):
        return Marker.SECRET in markers
    return any(_carries_below(part, markers) for part in found)
