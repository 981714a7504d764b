"""Values that are found by a key: `params.depth` of a mapping, `tags.family` of a list of entries with their keys."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lark import Token

from regesta.names import same_name

from .entries import Keyed
from .fields import QueryField
from .values import BOOLEAN, INTEGER_OR_NUMBER, TEXT, Kind, Operator

MAX_KEY = 1000
# What expressions have signs for; `:*` for the last.
IN_EXPRESSIONS = (
    *(Operator.EQ, Operator.NE, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE),
    *(Operator.PREFIX, Operator.CONTAINS, Operator.EXISTS),
)
_SEGMENT = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w-]+""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def segments(path: str) -> list[str]:
    """The parts of a path, without the quotes and escapes of those that have some."""
    return [_plain(found[0]) for found in _SEGMENT.finditer(path)]


def _plain(segment: str) -> str:
    if segment[0] not in "\"'":
        return segment
    if strange := re.search(r"(?<!\\)(?:\\\\)*\\([^\"'\\])", segment):
        raise ValueError(f"in a key a backslash stands before quotes or another one, not before {strange[1]!r}")
    return _ESCAPE.sub(r"\1", segment[1:-1])


def lookup(known: Mapping[str, QueryField], path: str) -> tuple[QueryField, list[str]] | None:
    """The field whose values the path finds by keys, and the keys. ValueError for keys that mean nothing there."""
    parts = segments(path)
    for length in range(len(parts) - 1, 0, -1):
        field = known.get(".".join(parts[:length]))
        if field is not None and field.keyed is not None:
            return field, check_keys(field, field.keyed, parts[length:])
    return None


def check_keys(field: QueryField, keyed: Keyed, keys: list[str]) -> list[str]:
    """The keys. ValueError where they mean nothing in this field."""
    if len(keys) > max(len(keyed.keys), 1):
        raise ValueError(f"{field.wire} is written {written(field)}: put quotes around what has a dot in it")
    for key in keys:
        if not key or len(key) > MAX_KEY or "\0" in key:
            raise ValueError(f"a key has 1 to {MAX_KEY} characters and no NUL")
        if not keyed.keys and ("." in key or key.startswith("$")):
            raise ValueError(f"{field.wire} has no keys with '.' in them or '$' in front")
    return list(map(same_name, keys)) if keyed.are_names else keys


def written(field: QueryField) -> str:
    """How its values are written: `metrics.NAME[.DATASET]`."""
    keys = [name.upper() for name in field.keyed.names] if field.keyed and field.keyed.names else ["KEY"]
    return f"{field.wire}.{keys[0]}" + "".join(f"[.{key}" for key in keys[1:]) + "]" * (len(keys) - 1)


def leaf(field: QueryField, keyed: Keyed, keys: Sequence[str], literal: Token) -> QueryField:
    """The value that is compared, as a field of its own: in the entry, or in the document for a mapping."""
    kind = keyed.kind or _as_written(literal)
    wire = ".".join((field.wire, *keys))
    stored = keyed.value or f"{field.stored}.{keys[0]}"
    return replace(field, wire=wire, stored=stored, kind=kind, many=False, across=False, scalar=True, keyed=None)


def entry(keyed: Keyed, keys: Sequence[str]) -> dict[str, Any]:
    """What an entry with these keys has."""
    return dict(zip(keyed.keys, keys, strict=False))


def _as_written(literal: Token) -> Kind:
    if literal.type == "QUOTED":
        return TEXT
    if literal in ("true", "false"):
        return BOOLEAN
    return INTEGER_OR_NUMBER if _NUMBER.fullmatch(literal) else TEXT


def path_served(field: QueryField) -> str:
    """The stored path that an index must begin with, to find such values; one that ends with "." for all below it."""
    if field.keyed is None:
        return field.stored
    return f"{field.stored}.{field.keyed.keys[0]}" if field.keyed.keys else f"{field.stored}."


def described_keys(fields: Iterable[QueryField]) -> dict[str, dict[str, Any]]:
    """Each field whose values are found by keys: how that is written, what compares them, and their schema."""
    return {
        field.wire: {
            "written": written(field),
            "operators": [str(one) for one in IN_EXPRESSIONS if one in (field.keyed.kind or TEXT).operators],
            "schema": _schema(field.keyed),
        }
        for field in fields
        if field.keyed is not None
    }


def _schema(keyed: Keyed) -> dict[str, Any]:
    if keyed.kind:
        return dict(keyed.kind.schema)
    return {"anyOf": [dict(kind.schema) for kind in (TEXT, INTEGER_OR_NUMBER, BOOLEAN)]}
