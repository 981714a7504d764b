"""The strict reading of a query string: nothing is ignored, guessed or silently dropped."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any
from urllib.parse import unquote_plus

from regesta.errors import Invalid, Issue, Malformed
from regesta.suggestions import MAX_SUGGESTIONS, nearest

MAX_BYTES = 64 * 1024
MAX_PARAMETERS = 500
MAX_VALUES = 100

MAX_NAME_SHOWN = 64

BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query string: how its text is read, and how OpenAPI shows it.

    read: text to value; raises ValueError with words for the client.
    schema: the JSON Schema of one value; it allows exactly what `read` accepts.
    description: for people.
    many: the parameter may be repeated, each time with one value.
    """

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    description: str = ""
    many: bool = False

    def openapi(self, name: str) -> dict[str, Any]:
        """The OpenAPI 3.1 parameter object under this name."""
        shown: dict[str, Any] = {"name": name, "in": "query", "required": False}
        if self.description:
            shown["description"] = self.description
        if not self.many:
            return {**shown, "schema": dict(self.schema)}
        array = {"type": "array", "items": dict(self.schema), "minItems": 1, "maxItems": MAX_VALUES}
        return {**shown, "style": "form", "explode": True, "schema": array}


def flag(description: str = "") -> Parameter:
    """A parameter that is `true` or `false`."""
    return Parameter(read_flag, {"type": "boolean"}, description)


def read_flag(text: str) -> bool:
    """`true` or `false`, nothing else; ValueError otherwise."""
    if text == "true":
        return True
    if text == "false":
        return False
    raise ValueError("must be true or false")


def openapi_parameters(allowed: Mapping[str, Parameter]) -> list[dict[str, Any]]:
    """The OpenAPI 3.1 parameter objects of these parameters."""
    return [parameter.openapi(name) for name, parameter in allowed.items()]


def parse_parameters(query_string: bytes, allowed: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of the parameters that are present, in the order of their names.

    A parameter that may be repeated gives the list of its values, without repetitions and in the order
    of their texts, so that equal requests give equal results.

    Raises Malformed for broken percent-encoding or UTF-8, Invalid with all that is wrong otherwise:
    unknown or repeated parameters, values that cannot be read, too many or too long parameters.
    """
    if not query_string:
        return {}
    texts = _texts(query_string)
    issues: list[Issue] = []
    unknown = 0
    values: dict[str, Any] = {}
    for name in sorted(texts):
        parameter = allowed.get(name)
        if parameter is None:
            issues.append(_unknown(name, allowed, hint=unknown < MAX_SUGGESTIONS))
            unknown += 1
            continue
        try:
            values[name] = _value(parameter, texts[name])
        except Invalid as refused:
            issues += refused.issues
        except _Refused as refused:
            issues.append(Issue(("query", name), str(refused), refused.type))
        except ValueError as error:
            issues.append(Issue(("query", name), str(error)))
    if issues:
        raise Invalid.of(issues)
    return values


class _Refused(ValueError):
    """A parameter that is wrong in itself, whatever its value says."""

    def __init__(self, message: str, type: str) -> None:
        super().__init__(message)
        self.type = type


def _texts(query_string: bytes) -> dict[str, list[str]]:
    if len(query_string) > MAX_BYTES:
        raise Invalid.of([Issue(("query",), f"is longer than {MAX_BYTES} bytes", "too_long")])
    if BROKEN_ESCAPE.search(query_string):
        raise Malformed("The query string has a '%' that two hexadecimal digits do not follow.")
    texts: dict[str, list[str]] = {}
    try:
        encoded = query_string.decode("utf-8", "strict")
        for pair in encoded.split("&"):
            if pair:
                name, _, text = pair.partition("=")
                texts.setdefault(_decoded(name), []).append(_decoded(text))
    except UnicodeDecodeError as error:
        raise Malformed("The query string is not valid UTF-8.") from error
    if len(texts) > MAX_PARAMETERS:
        raise Invalid.of([Issue(("query",), f"has more than {MAX_PARAMETERS} parameters", "too_many")])
    return texts


def _decoded(text: str) -> str:
    # Most names and values carry no escape, and unquote_plus is slow to find that out.
    if "%" not in text and "+" not in text:
        return text
    return unquote_plus(text, errors="strict")


def _value(parameter: Parameter, texts: list[str]) -> Any:
    for text in texts:
        if "\0" in text:
            raise _Refused("must not contain a NUL character", "nul_character")
    if not parameter.many:
        if len(texts) > 1:
            raise _Refused("is given more than once", "repeated_parameter")
        return parameter.read(texts[0])
    if len(texts) > MAX_VALUES:
        raise _Refused(f"is given more than {MAX_VALUES} times", "too_many")
    return [parameter.read(text) for text in sorted(set(texts))]


def _unknown(name: str, allowed: Iterable[str], *, hint: bool) -> Issue:
    shown = name if len(name) <= MAX_NAME_SHOWN else f"{name[:MAX_NAME_SHOWN]}..."
    said = _hint(name, allowed) if hint and name == shown else ""
    return Issue(("query", shown), f"is not a parameter of this operation{said}", "unknown_parameter")


def _hint(name: str, allowed: Iterable[str]) -> str:
    """The parameter that is meant, where a field has nearly this name; else which ones there are, without operators."""
    fields: dict[str, list[str]] = {}
    for known in allowed:
        fields.setdefault(_field(known), []).append(known)
    # By the field first: `year__gte` looks like `id__gte`, and is not meant by it.
    if field := nearest(_field(name), fields):
        near = max(fields[field], key=lambda known: SequenceMatcher(None, known, name).ratio())
        return f"; did you mean {near!r}?"
    return f"; it takes {', '.join(fields)}" if fields else ""


def _field(name: str) -> str:
    return name.partition("__")[0]
