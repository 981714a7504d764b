"""What a client sent: fields of a query or of a JSON body, and what makes them wrong."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request

from regesta.errors import TooLarge
from regesta.http import has_untyped_body, whole_pieces
from regesta.schemas import check_value_count
from regesta_mlflow.errors import JSON, Refusal, missing, wrong

LARGEST_BODY = 8 * 1024 * 1024  # bytes
MOST_PARAMETERS = 1000

# Pages of other origins may send these without asking the server first.
_FOREIGN_FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


class Sent:
    """The fields of one request. Absent, null and, where a text is required, empty are the same."""

    __slots__ = ("_fields", "_queried")

    def __init__(self, fields: Mapping[str, Any], *, queried: bool) -> None:
        self._fields = fields
        self._queried = queried  # then each value is a list of texts

    def required(self, name: str) -> str:
        """A text that must be there. Raises Refusal."""
        found = self.text(name)
        if not found:
            raise missing(name)
        return found

    def text(self, name: str) -> str:
        """A text, "" where there is none. Raises Refusal."""
        found = self.optional(name)
        return "" if found is None else found

    def optional(self, name: str) -> str | None:
        """A text, or None. Raises Refusal."""
        value = self._one(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise wrong(name, value, "it must be a string")
        if "\x00" in value:
            raise wrong(name, value, "it must have no NUL")
        return value

    def number(self, name: str) -> str:
        """The number of a version as text; JSON numbers are taken too. Raises Refusal."""
        value = self._one(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return self.required(name)

    def integer(self, name: str, default: int, most: int) -> int:
        """A whole number, as such or as text. Raises Refusal."""
        value = self._one(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise wrong(name, value, "it must be an integer")
        try:
            number = int(value)
        except ValueError:
            raise wrong(name, value, "it must be an integer") from None
        if number > most:
            raise wrong(name, value, f"it must be at most {most}")
        return number

    def flag(self, name: str) -> bool:
        """True or false; false where there is none. Raises Refusal."""
        value = self._one(name)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise wrong(name, value, "it must be true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """Several texts. Raises Refusal."""
        values = self._fields.get(name) or []
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise wrong(name, values, "it must be a list of strings")
        return values

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Several JSON objects. Raises Refusal."""
        values = self._fields.get(name)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise wrong(name, values, "it must be a list of objects")
        return values

    def one_object(self, name: str) -> dict[str, Any] | None:
        """A JSON object, or None. Raises Refusal."""
        value = self._one(name)
        if value is not None and not isinstance(value, dict):
            raise wrong(name, value, "it must be an object")
        return value

    def has(self, name: str) -> bool:
        """Whether a field is there."""
        return self._fields.get(name) is not None

    def _one(self, name: str) -> Any:
        value = self._fields.get(name)
        return value[-1] if self._queried and value else value


async def sent_of(request: Request) -> Sent:
    """The query of a GET, else the body. Raises Refusal, and Malformed for a body that is cut or stands still."""
    query: bytes = request.scope["query_string"]
    if request.method == "GET" and query:
        try:
            fields = parse_qs(
                query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
            )
        except ValueError:
            raise Refusal("The query string cannot be read") from None
        return Sent(fields, queried=True)
    return Sent(_object(await _body(request)), queried=False)


async def _body(request: Request) -> bytearray:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FOREIGN_FORMS or has_untyped_body(request.scope["headers"]):
        raise Refusal(f"Bad Request. Content-Type must be {JSON!r}, not {kind!r}")
    body = bytearray()
    async with aclosing(whole_pieces(request)) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > LARGEST_BODY:
                raise Refusal(f"The body has more than {LARGEST_BODY} bytes")
    return body


def _object(body: bytearray) -> Mapping[str, Any]:
    """The object in a body; what is none has no fields. Old clients send it as a JSON text. Raises Refusal."""
    try:
        check_value_count(body)
        value = orjson.loads(body)
        if isinstance(value, str):
            check_value_count(value.encode("utf-8", "surrogatepass"))
            value = orjson.loads(value)
    except TooLarge as error:
        raise Refusal(f"Bad Request. {error.detail}") from None
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
