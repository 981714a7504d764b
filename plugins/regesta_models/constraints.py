"""The texts of the model registry that have rules: names, URIs, paths, aliases, digests.

Each rule is one pattern, used twice: it judges here, and it stands in the JSON Schema, so that OpenAPI says
exactly what is accepted. Pydantic's own `pattern` has no look-ahead; hence Python's `re`. The patterns mean
the same in ECMA-262, the dialect of JSON Schema.
"""

import re
from collections.abc import Callable, Hashable
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from pydantic import AfterValidator, Field, WithJsonSchema

from regesta import Name

T = TypeVar("T")

CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
SPACE = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"

# Printable text without spaces around it: two names that look the same on a screen are one trap too many.
LABEL = rf"^[^{CONTROL}{SPACE}](?:[^{CONTROL}]*[^{CONTROL}{SPACE}])?$"
# The same without what separates parts of a path ("/") and of a reference ("models:/name", "name:alias").
NAME = rf"^(?!\.\.?$)[^/:{CONTROL}{SPACE}](?:[^/:{CONTROL}]*[^/:{CONTROL}{SPACE}])?$"

# A dot, and what ends a part of a URI, as they are or percent-encoded, once or many times.
_DOT = r"(?:\.|%(?:25)*2[eE])"
_EDGE = r"(?:[/\\?#;:&=]|%(?:25)*(?:2[fF]|5[cC]|3[fF]|23|3[bB]|3[aA]|26|3[dD]))"
_CLIMBS = rf"(?:^|[\s\S]*{_EDGE}){_DOT}{_DOT}(?:{_EDGE}|$)"
_ENCODED_CONTROL = r"[\s\S]*%(?:25)*(?:[01][0-9a-fA-F]|7[fF])"

# `file:` names a place on whatever machine reads it, the others are code or content; a chain (`jar:file:`) hides them.
_REFUSED_SCHEMES = "[fF][iI][lL][eE]|[dD][aA][tT][aA]|(?:[jJ][aA][vV][aA]|[vV][bB])[sS][cC][rR][iI][pP][tT]"
_REFUSED = rf"(?:[A-Za-z][A-Za-z0-9+.\-]*:+)*(?:{_REFUSED_SCHEMES}):"
SOURCE = rf"^(?!{_REFUSED})(?!{_CLIMBS})(?!{_ENCODED_CONTROL})[A-Za-z][A-Za-z0-9+.\-]+:[^{CONTROL}{SPACE}]+$"

# Relative, with "/" only, and no part that is empty, "." or "..".
PATH = rf"^(?!(?:[\s\S]*/)?\.?\.?(?:/|$))(?!{_CLIMBS})(?!{_ENCODED_CONTROL})(?![A-Za-z]:)[^\\{CONTROL}]+$"

ALIAS = r"^(?![lL][aA][tT][eE][sS][tT]$)(?![vV][0-9]+$)[A-Za-z0-9_\-]{1,255}$"
DIGEST = r"^[0-9a-f]{64}$"
COMMIT = r"^[0-9a-f]{7,64}$"
# What MongoDB can keep as a key, without control characters.
PARAMETER = rf"^[^$.{CONTROL}][^.{CONTROL}]*$"


# Nobody encodes as often and means well.
MOST_ENCODINGS = 10
_EDGES = re.compile(r"[/\\?#;:&=]")
_CONTROLS = re.compile(f"[{CONTROL}]")


def matches(pattern: str, message: str) -> AfterValidator:
    """Refuses texts that the pattern does not match, with this message."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        # "$" is the end in ECMA-262, and in Python the end or a last line break, which no pattern here allows.
        if not compiled.match(text) or text.endswith("\n"):
            raise ValueError(message)
        return text

    return AfterValidator(check)


def climbs(text: str) -> bool:
    """Whether a part of a URI or path is `..`, or a control character hides in it, however it is encoded."""
    for _ in range(MOST_ENCODINGS):
        decoded = unquote(text)
        if decoded == text:
            return ".." in _EDGES.split(text) or bool(_CONTROLS.search(text))
        text = decoded
    return True


def stays_below(text: str) -> str:
    """Refuses what climbs. The patterns tell the plain cases; digits that are encoded themselves need decoding."""
    if climbs(text):
        raise ValueError("must not contain '..' or control characters, encoded or not")
    return text


def distinct(what: Callable[[T], Hashable], message: str) -> AfterValidator:
    """Refuses lists in which two items have the same `what`."""

    def check(items: list[T]) -> list[T]:
        if len({what(item) for item in items}) < len(items):
            raise ValueError(message)
        return items

    return AfterValidator(check)


def _shown(pattern: str) -> dict[str, Any]:
    return {"pattern": pattern}


ModelName = Annotated[
    str,
    Name,
    Field(min_length=1, max_length=250, json_schema_extra=_shown(NAME)),
    matches(NAME, "must have no '/', ':', control characters or spaces around it, and not be '.' or '..'"),
]
Label = Annotated[
    str,
    Name,
    Field(min_length=1, max_length=250, json_schema_extra=_shown(LABEL)),
    matches(LABEL, "must be printable text without spaces around it"),
]
TagValue = Annotated[str, Field(max_length=100_000)]
Source = Annotated[
    str,
    Field(max_length=2048, json_schema_extra=_shown(SOURCE)),
    matches(
        SOURCE,
        "must be a URI with a scheme other than file, data and scripts, without spaces, control characters and '..'",
    ),
    AfterValidator(stays_below),
]
ArtifactPath = Annotated[
    str,
    Name,
    Field(max_length=1024, json_schema_extra=_shown(PATH)),
    matches(PATH, "must be a relative path with '/', without empty, '.' or '..' parts and control characters"),
    AfterValidator(stays_below),
]
Digest = Annotated[
    str,
    Field(json_schema_extra=_shown(DIGEST)),
    matches(DIGEST, "must be a SHA-256 as 64 lower case hexadecimal digits"),
]
Commit = Annotated[
    str,
    Field(json_schema_extra=_shown(COMMIT)),
    matches(COMMIT, "must be the hash of a commit: 7 to 64 lower case hexadecimal digits"),
]
Requirement = Annotated[
    str,
    Field(min_length=1, max_length=500, json_schema_extra=_shown(LABEL)),
    matches(LABEL, "must be a requirement as pip reads it, without spaces around it"),
]
AliasName = Annotated[
    str,
    Field(json_schema_extra=_shown(ALIAS)),
    matches(ALIAS, "must be 1 to 255 of A-Z a-z 0-9 _ -, and neither 'latest' nor 'v' with a number"),
]


UNKNOWN = -1
LONGEST_DIMENSION = 128


def _check_dimension(size: int | str) -> int | str:
    if isinstance(size, int):
        if size < UNKNOWN:
            raise ValueError(f"must be at least {UNKNOWN}")
    elif not 1 <= len(size) <= LONGEST_DIMENSION:
        raise ValueError(f"must have 1 to {LONGEST_DIMENSION} characters")
    return size


Dimension = Annotated[
    int | str,
    AfterValidator(_check_dimension),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": UNKNOWN},
                {"type": "string", "minLength": 1, "maxLength": LONGEST_DIMENSION},
            ]
        }
    ),
]

MOST_PARAMETERS = 1000
LONGEST_PARAMETER = 250
LONGEST_VALUE = 6000
_PARAMETER_KEY = re.compile(PARAMETER)


def _check_parameters(values: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    if len(values) > MOST_PARAMETERS:
        raise ValueError(f"must have at most {MOST_PARAMETERS} entries")
    if not all(len(name) <= LONGEST_PARAMETER and _PARAMETER_KEY.fullmatch(name) for name in values):
        raise ValueError(f"must have names of 1 to {LONGEST_PARAMETER} printable characters, no '.', no '$' in front")
    if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in values.values()):
        raise ValueError(f"must have values of at most {LONGEST_VALUE} characters")
    return values


Parameters = Annotated[
    dict[str, str | int | float | bool],
    AfterValidator(_check_parameters),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"minLength": 1, "maxLength": LONGEST_PARAMETER, "pattern": PARAMETER},
            "maxProperties": MOST_PARAMETERS,
            "additionalProperties": {
                "anyOf": [
                    {"type": "string", "maxLength": LONGEST_VALUE},
                    {"type": "integer"},
                    {"type": "number"},
                    {"type": "boolean"},
                ]
            },
        }
    ),
]
