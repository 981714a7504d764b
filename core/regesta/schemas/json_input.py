"""Reads JSON bodies: what cannot be read is Malformed (400), what no document may hold is Invalid (422).

jiter reads and refuses duplicate keys and non-finite constants. Only where it refuses does the standard
library read once more, to tell text that is no JSON from JSON that no document may hold: a lone surrogate,
or deep nesting.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import jiter
import orjson

from regesta.errors import Invalid, Issue, Location, Malformed
from regesta.int64 import is_int64
from regesta.schemas.issues import MAX_ISSUES, shortened
from regesta.schemas.json_size import MAX_VALUES, check_value_count
from regesta.schemas.wide_integers import Widen

MAX_DEPTH = 100


def read_body(body: bytes, most: int, widen: Callable[[Any], Widen]) -> tuple[bytes, Any]:
    """Return the body and the value in it, as `read_json`; `widen(value)` knows what takes integers beyond 64 bits.

    If there were such integers, both have what is taken in their place.
    """
    value = parse_json(body, most)
    changed = check_storable(value, widen(value))
    return (orjson.dumps(value) if changed else body), value


def read_json(body: bytes, most: int = MAX_VALUES) -> Any:
    """The value in `body`, checked to be storable: int64, no NUL, no `$`, dotted or empty keys, at most 100 deep.

    Raises TooLarge for more than `most` values, Malformed for what is no JSON (RFC 8259) or ambiguous, Invalid with
    every issue found otherwise.
    """
    value = parse_json(body, most)
    check_storable(value)
    return value


def parse_json(body: bytes, most: int = MAX_VALUES) -> Any:
    """The value in `body`, which `check_storable` has not seen yet. Raises TooLarge, Malformed."""
    check_value_count(body, most)
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError:
        return _read_slowly(body)


def check_storable(value: Any, widen: Widen | None = None) -> bool:
    """Raises Invalid with everything in a JSON value that no document may hold: see `read_json`.

    Integers beyond 64 bits are replaced in the value by what `widen` says of them; returns whether there were any.
    """
    if _are_harmless([value], 0):
        return False
    changed = widen is not None and _replace_wide(value, (), widen, 0)
    issues: list[Issue] = []
    _check(value, ("body",), 0, issues)
    if issues:
        raise Invalid.of(shortened(issues, len(issues)))
    return changed


def _replace_wide(value: Any, path: Location, widen: Widen, depth: int) -> bool:
    if depth > MAX_DEPTH:  # refused anyway
        return False
    changed = False
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        if item.__class__ is int and not is_int64(item):
            instead = widen((*path, key), item)
            if instead is not None:
                value[key], changed = instead, True
        elif isinstance(item, dict | list):
            changed |= _replace_wide(item, (*path, key), widen, depth + 1)
    return changed


def _read_slowly(body: bytes) -> Any:
    if not body:
        raise Malformed("the body is empty; send a JSON value", code="EMPTY_BODY")
    if body.startswith(b"\xef\xbb\xbf"):
        raise Malformed("the body starts with a byte order mark; send plain UTF-8", code="INVALID_JSON")
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is not UTF-8 (byte {error.start})", code="INVALID_JSON") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise Malformed(f"the body is not JSON: {error.msg} at {where}", code="INVALID_JSON") from None
    except RecursionError:
        raise Malformed("the body is nested too deeply to be read", code="INVALID_JSON") from None
    except ValueError:
        raise Malformed("the body holds a number with too many digits", code="INVALID_JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(f"the key {twice[:80]!r} stands twice in one object", code="DUPLICATE_JSON_KEY")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON", code="INVALID_JSON")


def _are_harmless(values: Iterable[Any], depth: int) -> bool:
    """Whether surely nothing is wrong, for which no place has to be remembered: so it is with nearly every body."""
    for value in values:
        kind = value.__class__
        if kind is str:
            if "\x00" in value or not (value.isascii() or _is_encodable(value)):
                return False
        elif kind is int:
            if not is_int64(value):
                return False
        elif kind is float:
            if not math.isfinite(value):
                return False
        elif kind is dict:
            if depth >= MAX_DEPTH or _may_have_bad_keys(value) or not _are_harmless(value.values(), depth + 1):
                return False
        elif kind is list and (depth >= MAX_DEPTH or not _are_harmless(value, depth + 1)):
            return False
    return True


def _may_have_bad_keys(value: Mapping[str, Any]) -> bool:
    keys = "".join(value)
    return "" in value or "$" in keys or "." in keys or "\x00" in keys or not keys.isascii()


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check(value: Any, loc: Location, depth: int, issues: list[Issue]) -> None:
    kind = value.__class__
    if kind is str:
        _check_text(value, loc, issues)
    elif kind is int:
        if not is_int64(value):
            issues.append(Issue(loc, "is outside of the 64-bit integers", "int_out_of_range"))
    elif kind is float:
        if not math.isfinite(value):
            raise Malformed(
                f"{'.'.join(map(str, loc[1:])) or 'the body'} is too large for a number", code="INVALID_JSON"
            )
    elif (kind is dict or kind is list) and _deep_enough(depth, loc, issues):
        _check_items(value, loc, depth, issues)


def _check_items(value: Any, loc: Location, depth: int, issues: list[Issue]) -> None:
    is_object = value.__class__ is dict
    items: Iterable[tuple[Any, Any]] = value.items() if is_object else enumerate(value)
    for key, item in items:
        if len(issues) > MAX_ISSUES:
            return
        if is_object:
            _check_key(key, loc, issues)
        if item.__class__ not in _HARMLESS:
            _check(item, (*loc, key), depth + 1, issues)


_HARMLESS = (bool, type(None))


def _deep_enough(depth: int, loc: Location, issues: list[Issue]) -> bool:
    if depth < MAX_DEPTH:
        return True
    if not any(issue.type == "too_deep" for issue in issues):
        issues.append(Issue(loc[:4], f"is nested deeper than {MAX_DEPTH} levels", "too_deep"))
    return False


def _check_text(text: str, loc: Location, issues: list[Issue]) -> None:
    if "\x00" in text:
        issues.append(Issue(loc, "contains a NUL character", "nul_character"))
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        issues.append(Issue(loc, "contains half of a surrogate pair", "lone_surrogate"))


def _check_key(key: str, loc: Location, issues: list[Issue]) -> None:
    if not key:
        issues.append(Issue(loc, "has an empty key", "invalid_key"))
    elif key[0] == "$" or "." in key:
        issues.append(Issue((*loc, key), "a key must not start with '$' nor contain '.'", "invalid_key"))
    elif "\x00" in key:
        issues.append(Issue(loc, "has a key with a NUL character", "nul_character"))
    elif not key.isascii():
        _check_text(key, loc, issues)
