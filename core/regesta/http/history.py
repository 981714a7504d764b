"""`GET /books/{book}:history`, `GET /books/{book}?revision=`, `POST /books/{book}:revert`."""

import re
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Action, AuditEvent, Caller
from regesta.declarations import Operation
from regesta.errors import Invalid, Issue, NotFound
from regesta.http.description import offered
from regesta.http.exchange import Exchange
from regesta.http.headers import JSON, check_path, media_type_of
from regesta.http.methods import only_validates
from regesta.http.received import body_of
from regesta.http.responses import JsonResponse, next_link, quoted
from regesta.http.revisions import client_has
from regesta.http.selection import select
from regesta.operations import History, Operations, Stored
from regesta.operations.actions import REPLACED
from regesta.query import Parameter, page_size_parameter, page_token_parameter, parse_parameters
from regesta.schemas import dumps, read_json

# What a revert does: it reads the past, and replaces what is there.
REVERTS = (Operation.REPLACE, Operation.HISTORY)
TAG = r'^(?:[0-9a-f]{1,64}|"[0-9a-f]{1,64}")$'


def read_revision(text: str) -> str:
    """A revision as histories show it, or as an ETag. Raises ValueError."""
    if not re.fullmatch(TAG[1:-1], text):
        raise ValueError("must be a revision: an ETag, with or without its quotes")
    return text.strip('"')


REVISION = Parameter(read_revision, {"type": "string", "pattern": TAG}, "The document as it was at this revision.")


class HistoryActor(BaseModel):
    """Who made a change."""

    subject: str
    method: str


class HistoryEntry(BaseModel):
    """One change."""

    revision: str | None = Field(description="The ETag, without quotes, that it led to; null where nothing was left.")
    time: datetime
    action: Action
    actor: HistoryActor
    request_id: str
    changes: list[dict[str, Any]] = Field(
        default=[],
        description="A JSON Patch (RFC 6902) on what clients see; left out where they see a model of another form.",
    )


class HistoryPage(BaseModel):
    """Changes of one key, the newest first."""

    items: list[HistoryEntry]
    next_page_token: str = ""


class RevertBody(BaseModel, extra="forbid"):
    """What to go back to."""

    revision: str = Field(pattern=TAG, description="The ETag of the revision, with or without its quotes.")


def offers_revisions(operations: Operations[Any]) -> bool:
    """Whether `revision=` is there: dependencies that guard histories would not be asked on the route of a GET."""
    guarded = operations.resource.operation_dependencies.get(Operation.HISTORY)
    return not guarded and Operation.HISTORY in offered(operations)


class Histories:
    """The endpoints of one resource."""

    def __init__(self, exchange: Exchange[Any]) -> None:
        self._exchange = exchange
        self._operations = exchange.operations
        self._resource = exchange.resource
        self._history = History(exchange.operations)
        self.parameters: dict[str, Parameter] = {
            "page_size": page_size_parameter(self._resource.page_size, self._resource.max_page_size),
            "page_token": page_token_parameter(),
        }

    async def history(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """A page of the changes of the document, the newest first: when, by whom, what."""
        check_path(request)
        asked = parse_parameters(request.scope["query_string"], self.parameters)
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.HISTORY)
        size = asked.get("page_size", self._resource.page_size)
        events, token = await self._history.page(caller, keys, size, asked.get("page_token"))
        body: dict[str, Any] = {"items": [self._entry(event) for event in events]}
        if token:
            body["next_page_token"] = token
        return JsonResponse(dumps(body), headers=next_link(request, token))

    async def past(self, request: Request, scope: Any, actor: Any, asked: dict[str, Any]) -> Response:
        """What `get` answers for a revision."""
        if "expand" in asked:
            raise Invalid.of([Issue(("query", "expand"), "shows what is there now: not together with revision")])
        revision = asked["revision"]
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.GET, Operation.HISTORY)
        stored = await self._now(caller, keys)
        wire = await self._wire(caller, keys, revision, stored)
        headers = {"ETag": quoted(revision)}
        # What is there now was written after it: if that stays, so does all before.
        if await client_has(request, stored, revision):
            return Response(status_code=304, headers=headers)
        if "fields" in asked:
            wire = select(wire, self._exchange.selection(asked["fields"]))
        return JsonResponse(dumps(wire), headers=headers)

    async def revert(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Put the document back to an earlier revision, by an update that is checked as any other."""
        check_path(request)
        dry = only_validates(request)
        condition = self._exchange.condition(request)
        keys = self._exchange.keys(request)
        caller = await self._exchange.caller(request, scope, actor, keys, Operation.REVERT, *REVERTS)
        media_type_of(request, JSON)
        revision = _revision_in(read_json(await body_of(request, self._resource.max_body_size)))
        past = await self._history.at(caller, keys, revision)
        written = await self._operations.update(
            caller, keys, self._history.reverting(past), condition=condition, events=REPLACED, validate_only=dry
        )
        return self._exchange.written(request, written, dry=dry)

    async def _now(self, caller: Caller, keys: tuple[str, ...]) -> Stored[Any] | None:
        try:
            return await self._operations.get(caller, keys)
        except NotFound:
            return None

    async def _wire(self, caller: Caller, keys: tuple[str, ...], revision: str, stored: Stored[Any] | None) -> Any:
        if stored is not None and stored.etag == revision:
            return stored.codec.wire(stored.raw)
        return self._history.shown(await self._history.at(caller, keys, revision))

    def _entry(self, event: AuditEvent) -> dict[str, Any]:
        shown = {
            "revision": event.revision_after,
            "time": event.time,
            "action": event.action,
            "actor": {"subject": event.actor.subject, "method": event.actor.method},
            "request_id": event.request_id,
        }
        changes = self._history.changes(event)
        return shown if changes is None else {**shown, "changes": changes}


def _revision_in(body: Any) -> str:
    """The revision that a body names. Raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid.of([Issue(("body",), "must be a JSON object", "object_type")])
    issues = [Issue(("body", name), "is no member here", "extra_forbidden") for name in body if name != "revision"]
    if "revision" not in body:
        issues.append(Issue(("body", "revision"), "Field required", "missing"))
    elif not isinstance(body["revision"], str) or not re.fullmatch(TAG[1:-1], body["revision"]):
        issues.append(Issue(("body", "revision"), "must be a revision: an ETag, with or without its quotes"))
    if issues:
        raise Invalid.of(issues)
    return read_revision(body["revision"])
