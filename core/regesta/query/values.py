"""What one value of a field looks like in a query string, and how it is stored.

What a body takes as a text (a date, a Decimal, a UUID, a duration), a filter takes as well. Numbers and flags, which
are no texts in JSON, are read strictly: ASCII only, no lax forms (`+5`, `1_0`, ` 5`, `on`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from math import isfinite
from typing import Any
from uuid import UUID

from beanie.odm.utils.encoder import Encoder
from bson import Decimal128, ObjectId
from pydantic import TypeAdapter, ValidationError

from regesta.int64 import INT64_MAX, INT64_MIN, is_int64
from regesta.names import same_name

from .parameters import read_flag

MAX_LENGTH = 1000

# What needs no second look before it goes into a filter.
PLAIN = (str, int, float, bool, Decimal128, ObjectId)


class Operator(StrEnum):
    """The comparisons of a filter; the word stands after `__`, and nothing for EQ."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NIN = "nin"
    EXISTS = "exists"
    PREFIX = "prefix"
    CONTAINS = "contains"


SAME = (Operator.EQ, Operator.NE, Operator.EXISTS)
CHOICE = (Operator.EQ, Operator.NE, Operator.IN, Operator.NIN, Operator.EXISTS)
ORDERED = (
    Operator.EQ,
    Operator.NE,
    Operator.GT,
    Operator.GTE,
    Operator.LT,
    Operator.LTE,
    Operator.IN,
    Operator.NIN,
    Operator.EXISTS,
)
TEXTUAL = (*ORDERED, Operator.PREFIX, Operator.CONTAINS)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    read: text to Python value; ValueError with words for the client.
    schema: the JSON Schema of the texts that `read` accepts.
    operators: what such values can be compared by.
    """

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    operators: tuple[Operator, ...] = ORDERED


def _read_integer(text: str) -> int:
    # 19 digits hold every 64 bit integer; int() of thousands of digits is slow, then an error of its own.
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or not is_int64(int(text)):
        raise ValueError("must be an integer of at most 64 bits")
    return int(text)


def _read_number(text: str) -> float:
    if not re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", text):
        raise ValueError("must be a number")
    value = float(text)
    if not isfinite(value):
        raise ValueError("is too large a number")
    return value


def _read_integer_or_number(text: str) -> int | float:
    # An integer beyond 2**53 would lose digits as a float.
    if re.fullmatch(r"-?(?:0|[1-9][0-9]{0,18})", text) and is_int64(int(text)):
        return int(text)
    return _read_number(text)


# What a body takes, and what one that somebody else has stored may be shown as. Decimal128 holds 34 digits; within them
# every value is exact.
DECIMAL = (
    r"[+-]?(?:[0-9]{1,34}|(?=[0-9.]{2,35}(?![0-9.]))(?:[0-9]+\.[0-9]*|\.[0-9]+))"
    r"(?:[eE][+-]?(?:[0-5]?[0-9]{1,3}|6000))?|-?Infinity|NaN"
)


def _read_decimal(text: str) -> Decimal:
    if not re.fullmatch(DECIMAL, text):
        hint = "; write '+' as %2B" if " " in text else ""
        raise ValueError(f"must be a decimal number of at most 34 digits, such as -1.50 or 1E+3{hint}")
    return Decimal(text)


def _read_text(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must not be longer than {MAX_LENGTH} characters")
    return text


def _read_uuid(text: str) -> UUID:
    try:
        return _UUIDS.validate_strings(text, strict=True)
    except ValidationError:
        raise ValueError("must be a UUID") from None


def _read_duration(text: str) -> timedelta:
    try:
        return _DURATIONS.validate_strings(text, strict=True)
    except ValidationError:
        raise ValueError("must be a duration such as PT1H30M (ISO 8601)") from None


def _read_object_id(text: str) -> ObjectId:
    if not re.fullmatch(r"[0-9a-fA-F]{24}", text):
        raise ValueError("must be an id of 24 hexadecimal digits")
    return ObjectId(text)


def _read_date(text: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("must be a date such as 2026-07-31")
    return date.fromisoformat(text)


DATE_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt](?P<minute>(?:[01][0-9]|2[0-3]):[0-5][0-9])"
    r":(?P<second>[0-5][0-9]|60)(?:\.(?P<fraction>[0-9]+))?"
    r"(?:[Zz]|(?P<zone>[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?"
)
_MOMENTS, _UUIDS, _DURATIONS = TypeAdapter(datetime), TypeAdapter(UUID), TypeAdapter(timedelta)
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def _read_date_time(text: str) -> datetime:
    """Return a moment of RFC 3339, or of another form that bodies take, in UTC and in milliseconds, as MongoDB has it.

    Without a zone it is in UTC.
    """
    match = DATE_TIME.fullmatch(text) or DATE_TIME.fullmatch(_as_rfc3339(text))
    if match is None:
        hint = "; write the '+' of a zone as %2B" if re.search(r" [0-9]{2}:[0-9]{2}\Z", text) else ""
        raise ValueError(f"must be a date and time such as 2026-07-31T12:00:00Z{hint}")
    # Addition also takes the leap second 60, which RFC 3339 has and Python has not.
    milliseconds = int(((match["fraction"] or "") + "000")[:3])
    local = datetime.fromisoformat(f"{match['date']}T{match['minute']}{match['zone'] or '+00:00'}")
    past = timedelta(seconds=int(match["second"]), milliseconds=milliseconds)
    try:
        return local.astimezone(UTC) + past
    except OverflowError:
        # Within a day of the first or last moment that Python and BSON know: nothing is stored beyond.
        return EARLIEST if local.year == 1 else LATEST


def _as_rfc3339(text: str) -> str:
    """The same moment in the one form of RFC 3339, where bodies take this form; else the text."""
    try:
        # Not what looks like a number, which would be seconds since 1970.
        return _MOMENTS.validate_strings(text, strict=True).isoformat() if text[4:5] == "-" else text
    except ValidationError:
        return text


def _stored_date_time(value: datetime) -> datetime:
    # As the driver returns it, and as mongomock compares it.
    return value.replace(tzinfo=None) if value.tzinfo is UTC else value


# NUL is no character of BSON's patterns and keys, and never part of a sensible text.
TEXT_SCHEMA = {"type": "string", "pattern": "^[^\\u0000]*$", "maxLength": MAX_LENGTH}

BOOLEAN = Kind(read_flag, {"type": "boolean"}, SAME)
INTEGER = Kind(_read_integer, {"type": "integer", "format": "int64", "minimum": INT64_MIN, "maximum": INT64_MAX})
NUMBER = Kind(_read_number, {"type": "number", "format": "double"})
INTEGER_OR_NUMBER = Kind(_read_integer_or_number, {"type": "number"})
DECIMAL_NUMBER = Kind(_read_decimal, {"type": "string", "pattern": f"^(?:{DECIMAL})$"})
TEXT = Kind(_read_text, TEXT_SCHEMA, TEXTUAL)
DURATION = Kind(_read_duration, {"type": "string", "format": "duration"})
UNIQUE_ID = Kind(_read_uuid, {"type": "string", "format": "uuid"})
OBJECT_ID = Kind(_read_object_id, {"type": "string", "pattern": "^[0-9a-fA-F]{24}$"})
DAY = Kind(_read_date, {"type": "string", "format": "date"})
MOMENT = Kind(_read_date_time, {"type": "string", "format": "date-time"})


def as_names(kind: Kind) -> Kind:
    """The same kind, but read as names are kept."""
    return replace(kind, read=lambda text: same_name(kind.read(text)))


def choice(members: list[Any]) -> Kind | None:
    """The kind of an Enum or Literal with these members; None where their texts are ambiguous."""
    plain = [member.value if isinstance(member, Enum) else member for member in members]
    types = {type(value) for value in plain}
    if len(types) != 1 or not types <= {str, int, bool, float}:
        return None
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in plain]
    by_text = dict(zip(texts, members, strict=True))
    shown = {str: "string", int: "integer", bool: "boolean", float: "number"}[types.pop()]
    said = ", ".join(texts)

    def read(text: str) -> Any:
        try:
            return by_text[text]
        except KeyError:
            raise ValueError(f"must be one of {said}") from None

    return Kind(read, {"type": shown, "enum": plain}, CHOICE)


def stored(kind: Kind, encoders: Mapping[type, Callable[[Any], Any]]) -> Kind:
    """The same kind, but read into what Beanie stores: Decimal128, Binary, an Enum's value, ...

    encoders: the document's `bson_encoders`.
    """
    encoder = Encoder(custom_encoders=encoders)

    def read(text: str) -> Any:
        encoded = encoder.encode(kind.read(text))
        if type(encoded) in PLAIN:
            return encoded
        if isinstance(encoded, datetime):
            return _stored_date_time(encoded)
        # A StrEnum is a str for Beanie's encoder, and would otherwise end up in the filter as it is.
        return encoded.value if isinstance(encoded, Enum) else encoded

    if not encoders and kind in (INTEGER, NUMBER, INTEGER_OR_NUMBER, TEXT, BOOLEAN, OBJECT_ID):
        return kind
    return replace(kind, read=read)
