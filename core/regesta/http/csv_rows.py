"""Documents as rows of CSV (RFC 4180), which a spreadsheet can open without running what is in them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from bson import Decimal128

from regesta.schemas import dumps, unbroken

# With these a spreadsheet begins a formula (OWASP, CSV injection); the last four are the full-width variants.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def header_of(columns: Sequence[str]) -> bytes:
    """The first row."""
    return f"{','.join(map(_quoted, columns))}\r\n".encode()


def row_of(wire: Mapping[str, Any], columns: Sequence[str]) -> str:
    """One document: an empty cell for null and for what it does not have."""
    return ",".join([cell(wire.get(column)) for column in columns]) + "\r\n"


def cell(value: Any) -> str:
    """One value. Texts are quoted, always; numbers and booleans stand for themselves; the rest is JSON.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Numbers get none.
    """
    kind = value.__class__
    if kind is str:
        return _quoted(value)
    if value is None:
        return ""
    if kind is Decimal128 or kind is Decimal:
        return _decimal(value)
    said = unbroken(dumps(value))
    if said.startswith(b'"'):  # what JSON says as a text: times, ids, enums
        return _quoted(orjson.loads(said))
    text = said.decode()
    if text[0] in "{[":
        return _quoted(text)
    return "" if text == "null" else text


def _decimal(value: Any) -> str:
    number = value.to_decimal() if isinstance(value, Decimal128) else value
    return str(value) if number.is_finite() else _quoted(str(value))


def _quoted(text: str) -> str:
    if text.startswith(FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if '"' in text else f'"{text}"'
