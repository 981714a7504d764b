"""BSON that other programs have written, and that Python has no values for.

A date outside of the years 1 to 9999 is read as `DatetimeMS`, and a text that is not UTF-8 with half surrogates in
place of its bytes (PEP 383). So such a document can be found, matched, counted and deleted like any other.
Only to show it fails.
"""

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import DatetimeMS
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument

# What Beanie stores, whatever the client that holds the connection was told.
STANDARD: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)

_ESCAPES = "surrogateescape"
# The calendar repeats itself after so many years, which have so many days.
_YEARS, _DAYS = 400, 146_097
_CYCLE = _DAYS * 24 * 60 * 60 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tolerant(options: CodecOptions[Any]) -> CodecOptions[Any]:
    """The same options, with which every date and every text can be read."""
    return options.with_options(
        datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler=_ESCAPES
    )


def is_whole(value: Any) -> bool:
    """Whether nothing in a stored value is one that Python has no values for."""
    if (kind := type(value)) is list:
        return all(map(is_whole, value))
    if kind in _ALWAYS_WHOLE:
        return True
    if isinstance(value, str):
        return value.isascii() or _is_text(value)
    if isinstance(value, Mapping):
        return all(is_whole(key) and is_whole(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_whole, value))
    return not isinstance(value, DatetimeMS)


_ALWAYS_WHOLE = frozenset({int, float, bool, type(None), datetime})


def legible(value: Any) -> Any:
    r"""The stored value with a text that people can read for each part that Python has no value for.

    A date as JavaScript writes it (`+010000-01-01T00:00:00.000Z`), a byte that is no UTF-8 as `\xff`.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", _ESCAPES).decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {legible(key): legible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [legible(item) for item in value]
    return _moment_text(int(value)) if isinstance(value, DatetimeMS) else value


def exactly(document: Mapping[str, Any]) -> bytes:
    """The BSON of a document or filter, byte for byte as it was read."""
    try:
        return bson.encode(document, codec_options=STANDARD)
    except UnicodeEncodeError:
        elements = b"".join(_element(name, value) for name, value in document.items())
        return struct.pack("<i", len(elements) + 5) + elements + b"\0"


def sendable(document: Mapping[str, Any]) -> Any:
    """A filter with values that were read, in a form that the driver can send."""
    return document if is_whole(document) else RawBSONDocument(exactly(document))


def _element(name: str, value: Any) -> bytes:
    key = name.encode("utf-8", _ESCAPES) + b"\0"
    if isinstance(value, str):
        text = value.encode("utf-8", _ESCAPES) + b"\0"
        return b"\x02" + key + struct.pack("<i", len(text)) + text
    if isinstance(value, Mapping):
        return b"\x03" + key + exactly(value)
    if isinstance(value, list):
        return b"\x04" + key + exactly({str(index): item for index, item in enumerate(value)})
    alone = bson.encode({"": value}, codec_options=STANDARD)
    # Without the length and the end of the document; behind the type stands the empty name.
    return alone[4:5] + key + alone[6:-1]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _moment_text(milliseconds: int) -> str:
    cycles, left = divmod(milliseconds, _CYCLE)
    moment = _EPOCH + timedelta(milliseconds=left)
    year = moment.year + cycles * _YEARS
    sign, digits = ("-" if year < 0 else "+"), 6
    return f"{sign}{abs(year):0{digits}}{moment:-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
