"""JSON in lines that every reader takes for lines.

JSON lets U+0085, U+2028 and U+2029 stand in a text as they are. Many readers cut lines there: `str.splitlines`,
`iter_lines` of httpx and requests, JavaScript before 2019. As escapes they mean the same and cut nothing. What else
`str.splitlines` cuts at is below U+0020, and JSON always escapes that.
"""

from typing import Any

from regesta.schemas.projection import dumps

# In UTF-8 no other character has these bytes in it.
_ESCAPES = (
    ("\u0085".encode(), rb"\u0085"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)


def unbroken(json: bytes) -> bytes:
    """The same JSON without any character that ends a line, besides the line feeds between its values."""
    for character, escape in _ESCAPES:
        if character in json:
            json = json.replace(character, escape)
    return json


def json_line(value: Any) -> bytes:
    """The value as one line of NDJSON, with its line feed."""
    return unbroken(dumps(value)) + b"\n"
