"""`filter=`: expressions in the form of AIP-160, read into MongoDB filters.

    year >= 2000 AND (author.name = "Ann*" OR tags:"new") AND NOT title:* AND metrics."top-1".imagenet > 85

Literals are typed by the field that they are compared with; none of them is ever more than data.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lark import Token

from regesta.errors import Invalid, Issue

from .conditions import comparison, escaped
from .entries import Keyed
from .fields import QueryField
from .keyed import check_keys, entry, leaf, lookup, written
from .parameters import Parameter
from .syntax import Junction, Node, Restriction, parse
from .values import TEXTUAL, Operator

MAX_BYTES = 4 * 1024
MAX_SHOWN = 64

FORMAT = "aip-160"
ANYTHING = "*"
NULL = "null"

_COMPARATORS = {
    "=": Operator.EQ,
    "!=": Operator.NE,
    "<": Operator.LT,
    "<=": Operator.LTE,
    ">": Operator.GT,
    ">=": Operator.GTE,
}
_DURATION = re.compile(r"-?[0-9]+(\.[0-9]+)?s")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WORDS = frozenset({"AND", "OR", "NOT"})


def filter_parameter(fields: Iterable[QueryField], refusal: str = "") -> Parameter:
    """`filter`: read into a MongoDB filter. `refusal` says more of fields that are not among these.

    It raises Malformed with the position for what cannot be parsed, Invalid for what means nothing here.
    """
    known = {field.wire: field for field in fields if field.is_comparable}
    names = ", ".join(name if field.keyed is None else written(field) for name, field in known.items())

    def read(text: str) -> dict[str, Any]:
        if len(text.encode()) > MAX_BYTES:
            raise ValueError(f"must not be longer than {MAX_BYTES} bytes")
        tree = parse(text)
        issues: list[Issue] = []
        found = _Compiler(known, issues, refusal).compile(tree)
        if issues:
            raise Invalid.of(issues)
        return found

    schema = {"type": "string", "format": FORMAT, "minLength": 1, "maxLength": MAX_BYTES}
    said = (
        "Only where this expression holds (AIP-160): comparisons by = != < <= > >=, `:` for an element of a list or a "
        "part of a text, `field:*` for what is present, `field = null` for what is not, `*` at the ends of a text for "
        "anything, AND, OR, NOT, "
        f"parentheses. Of {names}."
    )
    return Parameter(read, schema, said)


class _Compiler:
    """Makes a MongoDB filter of a tree, and notes everything that is wrong with it."""

    def __init__(self, known: Mapping[str, QueryField], issues: list[Issue], refusal: str) -> None:
        self._known = known
        self._refusal = refusal
        self._issues = issues

    def compile(self, node: Node) -> dict[str, Any]:
        """The filter; only good where no issue was noted."""
        if isinstance(node, Junction):
            return {node.operator: [self.compile(part) for part in node.parts]}
        try:
            return self._restriction(node)
        except ValueError as error:
            at = (node.value.start_pos if isinstance(error, _WrongValue) else node.path.start_pos) or 0
            kind = "filter_value" if isinstance(error, _WrongValue) else "filter_field"
            self._issues.append(Issue(("query", "filter"), f"at character {at + 1}: {error}", kind))
            return {}

    def _restriction(self, node: Restriction) -> dict[str, Any]:
        field = self._known.get(node.path)
        if field is None:
            found = lookup(self._known, node.path)
            if found is not None and found[0].keyed is not None:
                return self._by_key(found[0], found[0].keyed, found[1], node)
            raise ValueError(f"{node.path[:MAX_SHOWN]!r} cannot be filtered by{self._refusal}")
        if field.keyed is not None:
            return self._has_key(field, field.keyed, node)
        return self._compared(field, node.comparator, node.value)

    def _by_key(self, field: QueryField, keyed: Keyed, keys: list[str], node: Restriction) -> dict[str, Any]:
        one = leaf(field, keyed, keys, node.value)
        anything = node.comparator == ":" and node.value == ANYTHING and node.value.type == "BARE"
        if not keyed.keys:
            return {one.stored: {"$exists": True}} if anything else self._compared(one, node.comparator, node.value)
        # `!=` is what NOT = is, as of other fields: also where there is no such entry.
        differs = node.comparator == "!="
        compared = {} if anything else self._compared(one, "=" if differs else node.comparator, node.value)
        found = {field.stored: {"$elemMatch": entry(keyed, keys) | compared}}
        return {"$nor": [found]} if differs else found

    def _has_key(self, field: QueryField, keyed: Keyed, node: Restriction) -> dict[str, Any]:
        if node.comparator != ":":
            raise ValueError(f"{field.wire} has values under keys: write {written(field)}, or {field.wire}:KEY")
        if node.value == ANYTHING and node.value.type == "BARE":
            return {f"{field.stored}.0": {"$exists": True}} if keyed.keys else {field.stored: {"$nin": [None, {}]}}
        key = _unescaped(node.value[1:-1]) if node.value.type == "QUOTED" else _bare(node.value)
        try:
            checked = check_keys(field, keyed, [key])
        except ValueError as error:
            raise _WrongValue(str(error)) from None
        if keyed.keys:
            return {f"{field.stored}.{keyed.keys[0]}": {"$eq": key}}
        return {f"{field.stored}.{checked[0]}": {"$exists": True}}

    def _compared(self, field: QueryField, comparator: str, value: Token) -> dict[str, Any]:
        if field.kind is None:
            raise ValueError(f"{field.wire} cannot be compared")
        if comparator == ":":
            return self._has(field, value)
        operator = _COMPARATORS[comparator]
        if _is_null(value):
            return self._null(field, operator)
        if field.many:
            raise ValueError(f"{field.wire} is a list: write {field.wire}:value for one of its elements")
        if operator not in field.kind.operators:
            raise ValueError(f"{field.wire} cannot be compared by {comparator}")
        if field.kind.operators == TEXTUAL and operator in (Operator.EQ, Operator.NE):
            return self._like(field, operator, _pattern_of(value))
        word, operand = comparison(operator)(_value_of(field, value))
        return {field.stored: {word: operand}}

    def _null(self, field: QueryField, operator: Operator) -> dict[str, Any]:
        """What is null or not there, as MongoDB has it."""
        if operator not in (Operator.EQ, Operator.NE):
            raise _WrongValue(f"null can be compared by = and !=; put it into quotes where the text {NULL} is meant")
        if field.across:
            raise ValueError(f"{field.wire} lies in a list: null would say something of one element only")
        return {field.stored: {f"${operator}": None}}

    def _has(self, field: QueryField, value: Token) -> dict[str, Any]:
        if value == ANYTHING and value.type == "BARE":
            if field.across:
                raise ValueError(f"{field.wire} lies in a list: `:*` would say something of one element only")
            return {f"{field.stored}.0": {"$exists": True}} if field.many else {field.stored: {"$ne": None}}
        if field.kind and field.kind.operators == TEXTUAL and not field.many:
            return {field.stored: {"$regex": escaped(_value_of(field, value))}}
        return {field.stored: {"$eq": _value_of(field, value)}}

    def _like(self, field: QueryField, operator: Operator, parts: "_Pattern") -> dict[str, Any]:
        text = _read(field, parts.text)
        if not (parts.open_start or parts.open_end):
            return {field.stored: {f"${operator}": text}}
        # Not `$`: it would let a line break at the end pass.
        start, end = ("" if parts.open_start else "^"), ("" if parts.open_end else r"(?!\n)$")
        like = {field.stored: {"$regex": f"{start}{escaped(text)}{end}"}}
        return like if operator is Operator.EQ else {"$nor": [like]}


def _is_null(token: Token) -> bool:
    return token.type == "BARE" and token == NULL


class _WrongValue(ValueError):
    """It is the value of a comparison that is wrong, not its field."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A text, with whether anything may stand before and after it."""

    text: str
    open_start: bool
    open_end: bool


def _pattern_of(token: Token) -> _Pattern:
    raw = token[1:-1] if token.type == "QUOTED" else _bare(token)
    start = raw.startswith(ANYTHING)
    inner = raw[1:] if start else raw
    end = inner.endswith(ANYTHING) and not re.search(r"(?<!\\)(?:\\\\)*\\\*\Z", inner)
    inner = inner[:-1] if end else inner
    if re.search(r"(?<!\\)(?:\\\\)*\*", inner):
        raise _WrongValue(r"'*' stands for anything at the ends of a text only; write \* for the character")
    return _Pattern(_unescaped(inner), start, end)


def _value_of(field: QueryField, token: Token) -> Any:
    if token.type == "QUOTED":
        if field.kind and field.kind.schema.get("type") in ("integer", "number", "boolean"):
            raise _WrongValue(f"{field.wire} is no text: write the value without quotes")
        return _read(field, _unescaped(token[1:-1]))
    text = _bare(token)
    if _DURATION.fullmatch(text) and not (field.kind and field.kind.operators == TEXTUAL):
        raise _WrongValue("durations are not known here: give a date and time")
    return _read(field, text)


def _bare(token: Token) -> str:
    if token in _WORDS:
        raise _WrongValue(f"put {token} into quotes where the word itself is meant")
    return str(token)


def _unescaped(text: str) -> str:
    def character(found: re.Match[str]) -> str:
        if found[1] not in "\"'\\*":
            raise _WrongValue(f"a backslash stands before quotes, '*' or another one, not before {found[1]!r}")
        return found[1]

    return _ESCAPE.sub(character, text)


def _read(field: QueryField, text: str) -> Any:
    if "\0" in text:
        raise _WrongValue("must not contain a NUL character")
    if field.kind is None:
        raise _WrongValue(f"{field.wire} has no values to compare with")
    try:
        return field.kind.read(text)
    except ValueError as error:
        raise _WrongValue(f"{field.wire} {error}") from None
