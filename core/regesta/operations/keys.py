"""The keys of one resource: as text in paths, as JSON in bodies, and as they are stored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import NoneType
from typing import Any, get_args
from uuid import UUID

import bson
from beanie import PydanticObjectId
from beanie.odm.utils.encoder import Encoder
from pydantic import TypeAdapter, ValidationError

from regesta.int64 import is_int64
from regesta.names import same_name, spellings
from regesta.schemas.codec import UNENCODABLE
from regesta.schemas.compiled import Compiled
from regesta.store import STANDARD, legible

# Of these, which are stored as those, every value has a text of its own.
DISTINCT: Mapping[Any, type] = {str: str, int: int, UUID: bson.Binary, PydanticObjectId: bson.ObjectId}
# What else is stored says by itself what it is; a date is stored as a moment, a duration as a number.
TYPED = (datetime, float)


class Keys:
    """Reads and writes keys of one type, which pydantic knows."""

    def __init__(self, annotation: Any, *, are_names: bool = False) -> None:
        self._adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        self._sent = Compiled(self._adapter.core_schema, {})
        self._encoder = Encoder()
        self._is_text = annotation is str
        self._distinct = _distinct(annotation)
        self.are_names = are_names and self._is_text
        self.are_moments = _validates_moments(self._adapter.core_schema)

    def text(self, stored: Any) -> str:
        """A stored key as it stands in paths, before percent-encoding."""
        return self._typed(stored) if isinstance(stored, TYPED) else key_text(stored)

    def read(self, text: str) -> Any:
        """Return what is stored of the key with this text.

        A moment may be written in any way that names it, as in RFC 3339, and a name in any normal form of Unicode;
        every other key has one text.
        Raises ValueError for a text that is no key's, or one of a value that cannot be stored.
        """
        if self._is_text:
            return self.canonical(text)
        stored = self._encoded(self._parsed(text))
        if stored is None or (isinstance(stored, int) and not is_int64(stored)):
            raise ValueError("is not the text of a key")
        if not (text[4:5] == "-" if self.are_moments else self.text(stored) == text):  # not of a moment as a number
            raise ValueError("is not the text of a key")
        return stored

    def canonical(self, text: str) -> str:
        """Return the text that the key with this text is shown as; the same text for one that is no key's."""
        if self.are_names:
            return same_name(text)
        if not self.are_moments:
            return text
        try:
            return self.text(self.read(text))
        except ValueError:
            return text

    def spellings(self, text: str) -> list[Any]:
        """Return what may be stored of the key with this text. Raises ValueError for a text that is no key's."""
        return spellings(text) if self.are_names else [self.read(text)]

    def leads_to(self, text: str, stored: Any) -> bool:
        """Whether the text of this stored key is read as that, and as no other."""
        if self._distinct is not None and isinstance(stored, self._distinct):
            return True
        try:
            return stored is not None and _bytes(self.read(text)) == _bytes(stored)
        except ValueError:
            return False

    def sent(self, json: bytes) -> str | None:
        """The text of the key in a body; None where it is none."""
        try:
            return self.canonical(self._shown(json))
        except ValueError:
            return None

    def _shown(self, json: bytes) -> str:
        return self.text(self._encoded(self._sent.validator.validate_json(json, strict=True)))

    def json(self, text: str) -> Any:
        """The key with this text as JSON in a body has it. Raises ValueError."""
        return self.canonical(text) if self._is_text else self._adapter.dump_python(self._parsed(text), mode="json")

    def _parsed(self, text: str) -> Any:
        try:
            return self._adapter.validate_strings(text, strict=True)
        except ValidationError:
            # Numbers of a Literal are no strings to Pydantic.
            return self._adapter.validate_json(text, strict=True)

    def _encoded(self, value: Any) -> Any:
        """Return what is stored of the value. Raises ValueError for one that cannot be stored."""
        try:
            stored = self._encoder.encode(value)
            if isinstance(stored, datetime):
                return _stored_moment(stored)
        except UNENCODABLE as error:
            raise ValueError("cannot be stored") from error
        return stored.value if isinstance(stored, Enum) else stored

    def _typed(self, stored: Any) -> str:
        if isinstance(stored, datetime):
            # MongoDB's are in UTC, whatever zone the client that reads was told.
            stored = stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)
        try:
            return str(self._adapter.dump_python(self._adapter.validate_python(stored), mode="json"))
        except ValueError:
            return str(stored)


def _distinct(annotation: Any) -> type | None:
    """As what values are stored of which each has a text of its own; None where that is not known."""
    parts = {*(get_args(annotation) or [annotation])} - {NoneType}
    kind = parts.pop() if len(parts) == 1 else None
    if isinstance(kind, type) and issubclass(kind, Enum):
        kinds = {type(member.value) for member in kind}
        kind = kinds.pop() if len(kinds) == 1 else None
    return DISTINCT.get(kind)


def _validates_moments(schema: Mapping[str, Any]) -> bool:
    """Whether every value of a type, besides None, is a moment."""
    return schema["type"] == "datetime" or (schema["type"] == "nullable" and _validates_moments(schema["schema"]))


def _stored_moment(value: datetime) -> datetime:
    """Return the moment as MongoDB keeps it: in UTC and in milliseconds. Raises OverflowError outside of 1 to 9999."""
    value = value.astimezone(UTC) if value.tzinfo else value
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def key_text(value: Any) -> str:
    """The text of a stored value that says by itself what it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return str(value.as_uuid(value.subtype) if isinstance(value, bson.Binary) else value.hex())
    return str(legible(value))


def _bytes(value: Any) -> bytes:
    return bson.encode({"": value}, codec_options=STANDARD)
