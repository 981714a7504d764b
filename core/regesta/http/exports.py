"""Everything that a list's filter matches in one answer: `GET /books` with `Accept: application/x-ndjson` or CSV."""

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import cached_property, partial
from typing import Any, Generic, TypeVar
from urllib.parse import unquote_plus

import orjson
from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.declarations import Operation
from regesta.errors import Invalid, Issue, Unreadable
from regesta.http.accept import Form
from regesta.http.csv_rows import header_of, row_of
from regesta.http.exchange import Exchange
from regesta.http.selection import Selection, select
from regesta.http.streams import Streamed
from regesta.http.unreadable import key_in, unreadable_at, unreadable_item
from regesta.operations import bounded
from regesta.schemas import json_line, json_schemas, unbroken
from regesta.schemas.projection import OPTIONS, as_json
from regesta.store import Batches, Documents

T = TypeVar("T", bound=Document)

# What OpenAPI says of an answer of the list.
EXPORT_CONTENT: dict[str, Any] = {
    str(form): {
        "schema": {
            "type": "string",
            "description": f"Everything that matches, as {said}: without page_size, page_token and include.",
        }
    }
    for form, said in ((Form.NDJSON, "one JSON object in each line"), (Form.CSV, "CSV (RFC 4180) with a header row"))
}

# What stands in a row of CSV in place of what cannot be shown.
UNREADABLE = "#UNREADABLE"

PAGING = frozenset({"expand", "include", "page_size", "page_token"})

# Documents in one piece of the answer: what holds up the event loop for a few milliseconds.
PIECE, SLOW_PIECE = 500, 50

_line = partial(orjson.dumps, default=as_json, option=OPTIONS | orjson.OPT_APPEND_NEWLINE)


class Exports(Generic[T]):
    """The exports of one resource. They are part of the list's route, so what it depends on they do."""

    def __init__(self, exchange: Exchange[T]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations

    async def answer(self, request: Request, form: Form, scope: Any, actor: Any) -> Response:
        """All documents that match, in the order of the list.

        The resource's timeout bounds the time to the first batch and between two, not the whole. What fails
        before the first is answered as a problem; later the connection is broken off.
        """
        query = self._operations.rules.parse(request.scope["query_string"])
        _refuse_paging(request.scope["query_string"])
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.EXPORT)
        batches = await self._operations.everything(caller, keys, query)
        selection = None if query.fields is None else self._exchange.selection(query.fields)
        if request.method != "HEAD":
            try:
                async with bounded(self._operations.resource.timeout):
                    await batches.open()
            except BaseException:
                await batches.close()
                raise
        headers = {"Vary": "Accept"}
        if form is Form.NDJSON:
            path = request.scope["path"]
            pieces = self._pieces(batches, _lines, partial(self._said_instead, path), selection)
            return Streamed(pieces, batches.close, form, headers)
        headers["Content-Disposition"] = f'attachment; filename="{self._operations.resource.name}.csv"'
        columns = self._columns if selection is None else tuple(selection)
        key_column = self._operations.codec.wire_names.get(self._operations.resource.key, "")
        instead = partial(_row_instead, columns, key_column)
        pieces = self._pieces(batches, partial(_rows, columns), instead, selection, header_of(columns))
        return Streamed(pieces, batches.close, f"{form}; charset=utf-8; header=present", headers)

    async def _pieces(
        self,
        batches: Batches,
        encode: Callable[[list[Any]], bytes],
        instead: Callable[[str], bytes],
        selection: Selection | None,
        first: bytes = b"",
    ) -> AsyncGenerator[bytes]:
        if first:
            yield first
        timeout = self._operations.resource.timeout
        while True:
            async with bounded(timeout):
                batch = await batches.next()
            if batch is None:
                return
            for documents in batch:
                for piece in self._cut(documents):
                    wires = await self._operations.into_wires(piece)
                    if selection is not None:
                        wires = [select(wire, selection) for wire in wires]
                    try:
                        yield encode(wires)
                    except (Unreadable, TypeError, UnicodeEncodeError):
                        broken = unreadable_at(wires)
                        yield b"".join(
                            instead(key_in(self._operations, wire)) if index in broken else encode([wire])
                            for index, wire in enumerate(wires)
                        )

    def _said_instead(self, path: str, key: str) -> bytes:
        """The line of a document that cannot be shown."""
        return json_line({"unreadable": unreadable_item(self._operations, key, path)})

    def _cut(self, documents: Documents) -> list[Documents]:
        size = PIECE if self._operations.codec.direct else SLOW_PIECE
        return [documents[start : start + size] for start in range(0, len(documents), size)]

    @cached_property
    def _columns(self) -> tuple[str, ...]:
        """The fields of the schema, then those of the classes below it; the key is among them."""
        schemas = map(json_schemas.read_schema, self._operations.codecs())
        return tuple(dict.fromkeys(name for schema in schemas for name in schema.get("properties", {})))


def _lines(wires: list[Any]) -> bytes:
    return unbroken(b"".join(map(_line, wires)))


def _rows(columns: Sequence[str], wires: list[Any]) -> bytes:
    return "".join([row_of(wire, columns) for wire in wires]).encode()


def _row_instead(columns: Sequence[str], key_column: str, key: str) -> bytes:
    """The row of a document that cannot be shown."""
    return row_of({column: key if column == key_column else UNREADABLE for column in columns}, columns).encode()


def _refuse_paging(query_string: bytes) -> None:
    if not query_string:
        return
    given = {unquote_plus(pair.partition("=")[0]) for pair in query_string.decode().split("&")}
    if refused := sorted(given & PAGING):
        said = "means nothing in an export, which has everything that matches: leave it out"
        raise Invalid.of([Issue(("query", name), said, "not_for_exports") for name in refused])
