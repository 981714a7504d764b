"""`GET` with `Accept: text/event-stream`: the watch of a collection or of one document."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from regesta import errors
from regesta.change import Caller
from regesta.declarations import Operation
from regesta.errors import Gone, ProblemError, Unreadable
from regesta.http.accept import Form
from regesta.http.exchange import Exchange
from regesta.http.headers import check_path
from regesta.http.problems import problem_of, problem_response
from regesta.http.selection import select
from regesta.http.unreadable import named
from regesta.operations import Count, Operations, Page, bounded, etag_of
from regesta.query import Query, WatchQuery, and_filters
from regesta.schemas import dumps
from regesta.store import causal_session, cluster_time
from regesta.watch import (
    NOW,
    Audience,
    Overrun,
    Position,
    WatchTokens,
    asking,
    binding_of,
    frame,
    kept,
    matcher,
    open_watch,
)

# Nothing on the way may keep the events back or for later (nginx reads the second one).
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Watching:
    """The watches of one resource."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations
        self._resource = exchange.resource

    async def collection(self, request: Request, scope: Any, actor: Any) -> Response:
        """All documents that the filter matches."""
        check_path(request)
        query = self._operations.rules.parse_watch(request.scope["query_string"], collection=True)
        caller = await self._exchange.callers.of(request, Operation.WATCH, scope, actor)
        return await self._answer(request, caller, self._exchange.keys(request), None, query)

    async def document(self, request: Request, scope: Any, actor: Any) -> Response:
        """One document; where the watch does not go on from an event, it must be there."""
        check_path(request)
        query = self._operations.rules.parse_watch(request.scope["query_string"], collection=False)
        *parents, key = self._exchange.keys(request)
        caller = await self._exchange.callers.of(request, Operation.WATCH, scope, actor, key)
        if not _begin(request, query):
            await self._operations.get(caller, [*parents, key])
        return await self._answer(request, caller, parents, key, query)

    async def page(
        self, caller: Caller, parents: Sequence[str], query: Query, count: Count | None
    ) -> tuple[Page[Any], str]:
        """A page, and the token from which a watch tells all that it does not show yet. Raises Unsupported."""
        collection = self._operations.collection
        async with bounded(self._resource.timeout):
            await kept(collection)
            tokens = await self._tokens(caller, parents, None, query.filter)
        async with causal_session(collection) as session:
            async with bounded(self._resource.timeout):
                token = tokens.issue(Position(at=await cluster_time(session)))
            return await self._operations.page(caller, parents, query, count, session), token

    async def _answer(
        self, request: Request, caller: Caller, parents: Sequence[str], key: str | None, query: WatchQuery
    ) -> Response:
        operations = self._operations
        async with bounded(self._resource.timeout):
            await kept(operations.collection)
            parent = await operations.parent_value(caller, parents)
            tokens = await self._tokens(caller, parents, key, query.filter)
        begin = _begin(request, query)
        position = tokens.read(begin) if begin else NOW
        one = {} if key is None else operations.addresses.key_filter(key)
        wanted = and_filters(operations.addresses.collection_filter(caller.scope, parent), query.filter, one)
        audience = Audience(
            identity=binding_of(
                token=tokens.binding, fields=query.fields, class_=operations.resource.document.__name__
            ),
            shape=(id(operations), query.fields),
            sees=matcher(wanted, operations.collection.codec_options),
            key=operations.addresses.key_text,
            shown=self._shown(query, request.scope["path"]),
            tokens=tokens,
        )
        if request.method == "HEAD":
            return Response(headers=HEADERS, media_type=Form.EVENTS)
        return EventStream(operations, audience, position)

    def _shown(self, query: WatchQuery, path: str) -> Any:
        operations = self._operations
        selection = None if query.fields is None else self._exchange.selection(query.fields)

        def shown(raw: Mapping[str, Any]) -> bytes:
            stored = operations.stored(raw)
            item = stored.codec.wire(raw)
            if selection is not None:
                item = select(item, selection)
            told = {"key": stored.key, "etag": f'"{etag_of(raw)}"'}
            try:
                return dumps({**told, "item": item})
            except Unreadable:
                return dumps({**told, "problem": problem_of(named(operations, stored.key), path)})

        return shown

    async def _tokens(
        self, caller: Caller, parents: Sequence[str], key: str | None, filter: Mapping[str, Any]
    ) -> WatchTokens:
        binding = binding_of(
            resource=self._resource.name, scope=dict(caller.scope), parents=list(parents), key=key, filter=filter
        )
        async with asking(self._operations.collection):
            secret = await self._operations.secret()
        return WatchTokens(secret, binding)


def _begin(request: Request, query: WatchQuery) -> str:
    """The token to begin with: EventSource keeps `after` in its address when it connects again."""
    return request.headers.get("last-event-id", "") or query.after or ""


class EventStream(Response):
    """The answer to a watch, which is opened when it is sent: so whatever happens, it is closed as well."""

    def __init__(self, operations: Operations[Any], audience: Audience, position: Position) -> None:
        super().__init__(headers=HEADERS, media_type=Form.EVENTS)
        self._operations = operations
        self._audience = audience
        self._position = position

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until either side ends it."""
        resource, collection = self._operations.resource, self._operations.collection
        stall = resource.watch.heartbeat

        async def in_time(message: Message) -> None:
            async with asyncio.timeout(stall):
                await send(message)

        opening = open_watch(collection, self._audience, self._position, resource.watch, resource.timeout)
        try:
            watch = await opening.__aenter__()
        except ProblemError as error:
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        try:
            async with aclosing(_to_the_end(watch.frames(), scope["path"])) as frames:
                streaming = StreamingResponse(frames, headers=HEADERS, media_type=Form.EVENTS)
                await streaming(scope, receive, in_time)
        except (ClientDisconnect, TimeoutError):
            pass  # it went away, or takes nothing any more: it may come back with Last-Event-ID
        finally:
            await opening.__aexit__(None, None, None)


async def _to_the_end(frames: AsyncIterator[bytes], path: str) -> AsyncGenerator[bytes]:
    """The frames; why they end, where there is more to say, is the last one."""
    try:
        async for part in frames:
            yield part
    except Gone as error:
        yield frame(dumps(problem_of(error, path)), "gone")
    except Overrun as error:
        yield frame(dumps(problem_of(error, path)), "overrun")
    except ProblemError as error:
        yield frame(dumps(problem_of(error, path)), "error")


# OpenAPI

WATCH_ERRORS = (errors.Gone, errors.Unsupported)

_EVENTS = {
    "schema": {
        "type": "string",
        "description": (
            "Server-sent events `created`, `updated` and `deleted`: `data` has `key`, `etag` and `item`, or the "
            "`key` alone where it is deleted, or a `problem` "
            "for an item that cannot be shown; `gone` and `overrun` with a problem are the last ones."
        ),
    }
}


def stream_content(operation: Operation, operations: frozenset[Operation] | Any) -> dict[str, Any]:
    """What OpenAPI says of the watch beside the JSON of list and get; {} where it is not offered."""
    if Operation.WATCH not in operations or operation not in (Operation.LIST, Operation.GET):
        return {}
    return {str(Form.EVENTS): _EVENTS}


def stream_headers(operation: Operation, operations: frozenset[Operation] | Any) -> list[dict[str, Any]]:
    """The header parameters of the watch."""
    if not stream_content(operation, operations):
        return []
    said = "With `Accept: text/event-stream`: the id of the last event that was seen."
    return [
        {"name": "Last-Event-ID", "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
    ]
