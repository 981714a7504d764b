"""Filters of searches: read into comparisons, each checked for what it may compare."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from regesta_mlflow.errors import Refusal

LONGEST = 16 * 1024
MOST = 100

_TEXTUAL = frozenset({"=", "!=", "LIKE", "ILIKE"})
_NUMERIC = frozenset({"=", "!=", "<", "<=", ">", ">="})
_CONSTANTS = frozenset({"TRUE", "FALSE", "NULL"})
_ENTITIES = frozenset({"attribute", "tag", "tags"})
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")
_LISTS = "While parsing a list in the query, expected"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`name LIKE 'a%'`: with a tag, `field` is its key. Values are texts, numbers, or a tuple of texts."""

    field: str
    operator: str
    value: str | int | tuple[str, ...]
    tag: bool = False


@dataclass(frozen=True, slots=True)
class Searched:
    """What may be compared in searches of one kind of thing."""

    texts: frozenset[str]
    lists: frozenset[str]
    numbers: frozenset[str] = frozenset()


MODELS = Searched(frozenset({"name"}), frozenset({"name"}))
VERSIONS = Searched(
    frozenset({"name", "run_id", "source_path"}), frozenset({"name", "run_id"}), frozenset({"version_number"})
)


@lru_cache(512)
def comparisons(text: str, searched: Searched) -> tuple[Comparison, ...]:
    """The comparisons that must all hold. Raises Refusal."""
    if len(text) > LONGEST:
        raise Refusal(f"Invalid filter: it is longer than {LONGEST} characters")
    if ";" in re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "", text).strip().rstrip(";"):
        raise Refusal(f"Search filter contained multiple expressions: {text!r}")
    try:
        found = _Comparisons().transform(_parser().parse(text))
    except UnexpectedInput as error:
        at = max(int(getattr(error, "pos_in_stream", 0)), 0)
        raise Refusal(f"Invalid clause(s) in filter string: {text[at:]}") from None
    if len(found) > MOST:
        raise Refusal(f"Invalid filter: it has more than {MOST} comparisons")
    return tuple(_checked(*each, searched) for each in found)


@cache
def _parser() -> Lark:
    grammar = files("regesta_mlflow").joinpath("filters.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr")


Value = Token | list[Token]
_Read = tuple[Token, str, Value]


class _Comparisons(Transformer[Token, list[_Read]]):
    """Identifier, operator and value of each comparison, as they were written."""

    def start(self, children: list[Any]) -> list[_Read]:
        return [child for child in children if child is not None]

    def compared(self, children: list[Any]) -> _Read:
        return children[0], children[1].upper(), children[2]

    def listed(self, children: list[Any]) -> _Read:
        return children[0], "IN", children[2]

    def unlisted(self, children: list[Any]) -> _Read:
        return children[0], "NOT IN", children[2]

    def value(self, children: list[Any]) -> Token:
        token: Token = children[0]
        return token

    def list(self, children: list[Any]) -> list[Token]:
        return children


def _checked(identifier: Token, operator: str, value: Value, searched: Searched) -> Comparison:
    entity, dot, key = str(identifier).partition(".")
    if identifier.startswith("`"):
        entity, dot, key = "attribute", "", str(identifier).strip("`")
    elif not dot:
        entity, key = "attribute", str(identifier)
    elif entity not in _ENTITIES:
        raise Refusal(f"Invalid entity type {entity!r}: there are attribute, tag and tags")
    if isinstance(value, Token) and value.upper() in _CONSTANTS:
        raise Refusal(f"Invalid clause(s) in filter string: {identifier} {operator} {value}")
    if entity == "attribute":
        return _attribute(key, operator, value, searched)
    return _tag(key.strip('`"') if key[:1] in '`"' else key, operator, value)


def _tag(key: str, operator: str, value: Value) -> Comparison:
    if operator in ("IN", "NOT IN") or isinstance(value, list):
        raise Refusal("Expected a quoted string value for tag, not a list")
    if operator not in _TEXTUAL:
        raise Refusal(f"Invalid comparator for tag: {operator}")
    return Comparison(key, operator, _text(value, "tag"), tag=True)


def _attribute(key: str, operator: str, value: Value, searched: Searched) -> Comparison:
    if key in searched.numbers:
        return _numeric(key, operator, value)
    if key not in searched.texts:
        known = ", ".join(sorted(searched.texts | searched.numbers))
        raise Refusal(f"Invalid attribute key {key!r} specified: there are {known}")
    if isinstance(value, list):
        if key not in searched.lists:
            raise Refusal(f"{key!r} cannot be compared with a list: {', '.join(sorted(searched.lists))} can")
        return Comparison(key, operator, _texts(value))
    if operator not in _TEXTUAL:
        raise Refusal(f"Invalid comparator for attribute: {operator}")
    return Comparison(key, operator, _text(value, f"attribute {key!r}"))


def _numeric(key: str, operator: str, value: Value) -> Comparison:
    if isinstance(value, list):
        raise Refusal(f"{key!r} cannot be compared with a list")
    if operator not in _NUMERIC:
        raise Refusal(f"Invalid comparator for attribute {key}: {operator}")
    digits = value[1:-1] if value.type == "TEXT" else value
    if not _INTEGER.match(digits):
        raise Refusal(f"Invalid value for numeric attribute {key!r}: {value}")
    return Comparison(key, operator, int(digits))


def _text(value: Token, what: str) -> str:
    if value.type == "TEXT":
        return value[1:-1]
    if value.type == "NUMBER":
        raise Refusal(f"Expected a quoted string value for {what}. Got value {value}")
    raise Refusal(
        "Parameter value is either not quoted or unidentified quote types used for string value "
        f"{value}. Put it into single or double quotes."
    )


def _texts(tokens: list[Token]) -> tuple[str, ...]:
    """The texts of a list: quoted, with commas between them."""
    if not tokens:
        raise Refusal(f"{_LISTS} a non-empty list of string values, but got empty list")
    if any(token.type not in ("TEXT", "COMMA") for token in tokens):
        raise Refusal(f"{_LISTS} string value, punctuation, or whitespace, but got different type in list")
    texts, commas = tokens[::2], tokens[1::2]
    if len(texts) != len(commas) + 1 or any(one.type == "COMMA" for one in texts) or {*commas} - {","}:
        raise Refusal(f"{_LISTS} a non-empty list of string values, but got ill-formed list")
    return tuple(text[1:-1] for text in texts)
