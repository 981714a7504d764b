"""Markers for document fields: `Annotated[datetime, ReadOnly]`.

They say who may write and see a field on the wire. They change nothing in MongoDB and nothing for
code that uses the document directly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from regesta.annotations import members_of, within
from regesta.names import Name


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
    return next((item for item in _said_of(field) if isinstance(item, Entries)), None)


def is_name(field: FieldInfo) -> bool:
    """Whether a field holds names, or a list of them."""
    return Name in _said_of(field)


def markers_of(field: FieldInfo) -> frozenset[Marker]:
    """The markers of a field, wherever they stand in its annotation, behind aliases too.

    `Annotated[str, Secret] | None` counts as `Annotated[str | None, Secret]` does, and Pydantic's SecretStr and
    SecretBytes as Secret: their masked form must never come back as a value.
    """
    return _markers_in(_said_of(field))


def masks_itself(field: FieldInfo) -> bool:
    """Whether Pydantic shows asterisks in place of the field's value."""
    return any(map(_is_masked, _said_of(field)))


def _markers_in(said: Iterable[Any]) -> frozenset[Marker]:
    return frozenset(item if isinstance(item, Marker) else Secret for item in said if _says_something(item))


def _says_something(item: Any) -> bool:
    return isinstance(item, Marker) or _is_masked(item)


def _is_masked(item: Any) -> bool:
    return isinstance(item, type) and issubclass(item, SecretStr | SecretBytes)


def _said_of(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    yield from within(field.annotation)


def fields_marked(document: type[BaseModel], *markers: Marker) -> frozenset[str]:
    """The names of the document's fields (Python names) that carry one of the markers."""
    return frozenset(name for name, field in document.model_fields.items() if not markers_of(field).isdisjoint(markers))


def marked_below(document: type[BaseModel]) -> Iterator[str]:
    """The dotted names of marked members inside of the document's fields, where markers mean nothing."""
    seen: set[Any] = {document}
    open_: list[tuple[str, Any]] = [(name, field.annotation) for name, field in document.model_fields.items()]
    while open_:
        path, annotation = open_.pop()
        for kind in within(annotation):
            # A linked document has a resource of its own.
            if not isinstance(kind, type) or kind in seen or hasattr(kind, "get_settings"):
                continue
            seen.add(kind)
            members = [(f"{path}.{name}", below) for name, below in members_of(kind)]
            yield from sorted(name for name, below in members if _markers_in(within(below)))
            open_ += members
