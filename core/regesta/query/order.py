"""The order in which MongoDB sorts values of all types, and what finds those of each."""

from collections.abc import Mapping
from datetime import datetime
from math import isnan
from typing import Any
from uuid import UUID

from bson import DatetimeMS, DBRef, Decimal128, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary

NAN, INFINITY = float("nan"), float("inf")

# From the first to the last: what finds such a value in a field, or among the elements of an array that is there.
# MongoDB sorts an array by its first element in this order, descending by its last; one without any comes before null.
BRACKETS: tuple[dict[str, Any], ...] = (
    {"$eq": MinKey()},
    {"$size": 0},
    {"$eq": None},
    {"$eq": NAN},
    {"$gte": -INFINITY},
    {"$gte": ""},
    {"$gte": {}},
    {"$elemMatch": {"$gte": []}},
    {"$gte": Binary(b"")},
    {"$gte": ObjectId(bytes(12))},
    {"$gte": False},
    {"$gte": datetime.min},  # noqa: DTZ901 - in UTC, as the driver takes it
    {"$type": "timestamp"},
    {"$type": "regex"},
    {"$eq": MaxKey()},
)
EMPTY, NULL, NOT_A_NUMBER, NUMBER, OBJECT, ARRAY, BINARY = 1, 2, 3, 4, 6, 7, 8
REGEX, LAST = 13, len(BRACKETS) - 1
# What no document of a model holds, and mongomock does not know.
RARE = (BRACKETS[12], BRACKETS[REGEX])
# These have one value each, or are not told from one another.
SINGLE = (0, EMPTY, NULL, NOT_A_NUMBER, ARRAY, REGEX, LAST)
# In this order: bool is an int.
TYPES: tuple[tuple[tuple[type, ...], int], ...] = (
    ((str,), 5),
    ((ObjectId,), 9),
    ((bool,), 10),
    ((int, float, Decimal128), NUMBER),
    ((datetime, DatetimeMS), 11),
    ((Mapping, DBRef), OBJECT),
    ((list,), ARRAY),
    ((bytes, UUID), BINARY),
    ((Timestamp,), 12),
    ((Regex,), REGEX),
    ((MinKey,), 0),
)


def bracket(value: Any) -> int:
    """The place in BRACKETS of a stored value."""
    if value is None:
        return NULL
    found = next((place for types, place in TYPES if isinstance(value, types)), LAST)
    if found == NUMBER and is_nan(value):
        return NOT_A_NUMBER
    return EMPTY if found == ARRAY and not value else found


def is_nan(value: Any) -> bool:
    """Whether it is the number that is none."""
    if isinstance(value, Decimal128):
        return value.to_decimal().is_nan()
    return isinstance(value, float) and isnan(value)


def place(value: Any) -> tuple[Any, ...]:
    """What Python sorts as MongoDB sorts the value."""
    found = bracket(value)
    if found in SINGLE:
        return (found,)
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    elif isinstance(value, DBRef | Mapping):
        pairs = (value.as_doc() if isinstance(value, DBRef) else value).items()
        value = [(bracket(item), name, place(item)) for name, item in pairs]
    elif found == BINARY:
        raw = value.bytes if isinstance(value, UUID) else bytes(value)
        value = (len(raw), getattr(value, "subtype", 0), raw)
    return (found, value)
