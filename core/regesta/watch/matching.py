"""Whether a document matches a filter, as MongoDB would say: for the filters that lists and scopes are made of.

A watch asks this of every change, for each of its readers; the server cannot be asked so often. What is not known
here is refused, never guessed.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any
from uuid import UUID

import bson
from bson import Binary, DatetimeMS, DBRef, Decimal128, ObjectId
from bson.codec_options import CodecOptions

from regesta.errors import Unsupported

Raw = Mapping[str, Any]
Predicate = Callable[[Raw], bool]
Test = Callable[[list[Any]], bool]

MISSING = object()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

_JUNCTIONS: Mapping[str, Callable[[Sequence[Predicate]], Predicate]] = {
    "$and": lambda parts: lambda raw: all(part(raw) for part in parts),
    "$or": lambda parts: lambda raw: any(part(raw) for part in parts),
    "$nor": lambda parts: lambda raw: not any(part(raw) for part in parts),
}
_RANGES = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def matcher(filter: Mapping[str, Any], options: CodecOptions[Any]) -> Predicate:
    """The filter as a function. `options`: those by which the documents are read, so that equal values look equal.

    Raises Unsupported for operators that are not known here.
    """
    alike = bson.decode(bson.encode(filter, codec_options=options), codec_options=options)
    return _all_of(alike)


def _all_of(filter: Mapping[str, Any]) -> Predicate:
    parts = list(_parts(filter))
    return parts[0] if len(parts) == 1 else _JUNCTIONS["$and"](parts)


def _parts(filter: Mapping[str, Any]) -> Iterator[Predicate]:
    for name, meant in filter.items():
        if name in _JUNCTIONS:
            yield _JUNCTIONS[name]([_all_of(part) for part in meant])
        elif name.startswith("$"):
            raise _unknown(name)
        else:
            yield _at(name.split("."), _tests(meant))


def _at(path: list[str], tests: Sequence[Test]) -> Predicate:
    def predicate(raw: Raw) -> bool:
        values = list(_leaves(raw, path))
        return all(test(values) for test in tests)

    return predicate


def _tests(meant: Any) -> list[Test]:
    if isinstance(meant, Mapping) and any(name.startswith("$") for name in meant):
        return [_test(word, operand) for word, operand in meant.items()]
    return [_equals(meant)]


def _test(word: str, operand: Any) -> Test:
    if word in _RANGES:
        return _ranges(_RANGES[word], operand)
    if word == "$not" and isinstance(operand, Mapping):
        inner = _tests(operand)
        return lambda values: not all(test(values) for test in inner)
    if word == "$regex" and isinstance(operand, str):
        pattern = re.compile(operand)
        return lambda values: any(isinstance(value, str) and bool(pattern.search(value)) for value in values)
    if word == "$elemMatch" and isinstance(operand, Mapping) and not any(name.startswith("$") for name in operand):
        one = _all_of(operand)
        return lambda values: any(isinstance(value, list) and any(map(_holds(one), value)) for value in values)
    if word == "$exists":
        return lambda values: any(value is not MISSING for value in values) is bool(operand)
    if word in ("$in", "$nin"):
        tests = [_equals(each) for each in operand]
        return lambda values: any(test(values) for test in tests) is (word == "$in")
    if word in ("$eq", "$ne"):
        equal = _equals(operand)
        return lambda values: equal(values) is (word == "$eq")
    raise _unknown(word)


def _holds(predicate: Predicate) -> Callable[[Any], bool]:
    """Of what lies in a list: only documents have fields."""
    return lambda item: isinstance(item, Mapping) and predicate(item)


def _equals(operand: Any) -> Test:
    if isinstance(operand, bson.Regex | re.Pattern):
        raise _unknown("a regular expression")
    wanted = _key(operand)
    return lambda values: any(_key(value) == wanted for value in values)


def _ranges(compare: Callable[[Any, Any], bool], operand: Any) -> Test:
    wanted = _key(operand)
    if isinstance(operand, Mapping | list):
        raise _unknown("the order of lists and objects")
    # A comparison stays within one type: 5 is neither more nor less than "5".
    return lambda values: any(key[0] == wanted[0] and compare(key, wanted) for key in map(_key, values))


def _leaves(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """What stands at a path: of lists on the way each element, of one at its end the elements and itself."""
    if isinstance(value, DBRef):
        value = value.as_doc()
    if not path:
        if isinstance(value, list):
            yield from value
        yield value
    elif isinstance(value, Mapping):
        yield from _leaves(value[path[0]], path[1:]) if path[0] in value else (MISSING,)
    elif isinstance(value, list):
        yield from _elements(value, path)
    else:
        yield MISSING


def _elements(items: list[Any], path: Sequence[str]) -> Iterator[Any]:
    if path[0].isdecimal() and int(path[0]) < len(items):
        found = items[int(path[0])]
        if len(path) == 1:
            yield found
        elif isinstance(found, Mapping | list | DBRef):
            yield from _leaves(found, path[1:])
    for item in items:
        if isinstance(item, Mapping | DBRef):
            yield from _leaves(item, path)


def _key(value: Any) -> tuple[Any, ...]:  # noqa: C901, PLR0911 - one for each type of BSON
    """The value as MongoDB compares it: first the type, numbers of all types being one, then the value."""
    if value is None or value is MISSING:
        return ("null",)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, Decimal128):
        value = value.to_decimal()
        return ("nan",) if value.is_nan() else ("number", value)
    if isinstance(value, int | float):
        return ("nan",) if isnan(value) else ("number", value)
    if isinstance(value, str):
        return ("text", value)
    if isinstance(value, datetime | DatetimeMS):
        return ("date", _milliseconds(value))
    if isinstance(value, ObjectId):
        return ("id", value.binary)
    if isinstance(value, UUID):
        return ("binary", 16, 4, value.bytes)
    if isinstance(value, bytes):
        return ("binary", len(value), value.subtype if isinstance(value, Binary) else 0, bytes(value))
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, Mapping):
        return ("object", tuple((name, _key(item)) for name, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(_key, value)))
    return (type(value).__name__, repr(value))


def _milliseconds(value: datetime | DatetimeMS) -> int:
    if isinstance(value, DatetimeMS):
        return int(value)
    return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND


def _unknown(what: str) -> Unsupported:
    return Unsupported(f"a watch cannot be limited by {what}", code="WATCH_UNSUPPORTED")
