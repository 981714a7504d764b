"""The generated endpoints of one resource: from a request to the operations and back."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.declarations import Operation
from regesta.errors import Unreadable
from regesta.http.accept import Form, form_of
from regesta.http.batch import Batch
from regesta.http.description import Description
from regesta.http.exchange import Exchange
from regesta.http.expansion import Asked, Expander
from regesta.http.exports import Exports
from regesta.http.facets import Facets
from regesta.http.headers import (
    JSON_PATCH,
    MERGE_PATCH,
    check_path,
    count_of,
    has_condition,
    media_type_of,
    precondition_of,
    refuse_untyped_body,
)
from regesta.http.history import REVISION, Histories, offers_revisions
from regesta.http.idempotency import answer_once
from regesta.http.imports import Imports, is_import
from regesta.http.methods import VALIDATE_ONLY, only_validates
from regesta.http.received import body_of
from regesta.http.responses import JsonResponse, next_link, quoted
from regesta.http.revisions import client_has
from regesta.http.selection import select
from regesta.http.unreadable import named, page_content
from regesta.http.watching import Watching
from regesta.operations import JsonPatch, MergePatch, Operations, Patch, Unit, etag_of
from regesta.operations.actions import REPLACED
from regesta.operations.repeats import Answer, Repeats
from regesta.query import Parameter, flag, parse_parameters
from regesta.schemas import dumps, read_body

T = TypeVar("T", bound=Document)


class Endpoints(Generic[T]):
    """What each generated route calls. `scope` and `actor` are what the resource's dependencies answered.

    The docstrings of the endpoints are what OpenAPI says of them.
    """

    def __init__(self, operations: Operations[T]) -> None:
        self.operations = operations
        self.resource = operations.resource
        self._exchange = exchange = Exchange(operations)
        self._callers = exchange.callers
        offered = self.resource.operations
        self._exports = Exports(exchange) if Operation.EXPORT in offered else None
        self._imports = Imports(exchange) if Operation.IMPORT in offered else None
        self._watching = Watching(exchange) if Operation.WATCH in offered else None
        self.facets = Facets(exchange).endpoint
        self.schema = Description(exchange).endpoint
        self._expander = Expander(operations)
        self.get_parameters = operations.rules.get_parameters
        self.patch_parameters = {"validate_only": VALIDATE_ONLY}
        self.create_parameters = self.patch_parameters | (self._imports.parameters if self._imports else {})
        # RFC 9110, 12.5.5: a cache must not answer one form for another.
        self._vary = {"Vary": "Accept"} if self._exports or self._watching else {}
        # Where the server makes the key, only POST creates.
        chosen = self.resource.key not in self.resource.read_only
        self.replace_parameters: dict[str, Parameter] = (
            {"allow_missing": flag("Create the document where it is missing.")} if chosen else {}
        ) | self.patch_parameters
        self.delete_parameters: dict[str, Parameter] = (
            {"cascade": flag("Delete everything below it as well, in one transaction.")} if operations.children else {}
        ) | self.patch_parameters
        histories = Histories(exchange)
        self.history, self.revert, self._past = histories.history, histories.revert, histories.past
        self.history_parameters = histories.parameters
        if offers_revisions(operations):
            self.get_parameters = self.get_parameters | {"revision": REVISION}
        self.batch, self.batch_parameters = Batch(exchange).endpoint, self.patch_parameters

    async def list(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """A page of what the filters match; `next_page_token` leads to the next one.

        `Accept` asks for other forms, where they are offered: all that matches, as NDJSON or CSV, or a watch.
        """
        check_path(request)
        if form := form_of(request):
            if self._watching and form is Form.EVENTS:
                return await self._watching.collection(request, scope, actor)
            if self._exports and form is not Form.EVENTS:
                return await self._exports.answer(request, form, scope, actor)
        query = self.operations.rules.parse(request.scope["query_string"])
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.LIST)
        count, watch_token = count_of(request), ""
        if self._watching and query.include_watch:
            page, watch_token = await self._watching.page(caller, keys, query, count)
        else:
            page = await self.operations.page(caller, keys, query, count)
        etags = [quoted(etag_of(raw)) for raw in page.raws] if query.include_etag else None
        items = (
            await page.into_wires()
            if query.expand is None
            else await self._expander.items(Asked(request, scope, actor), page.raws, query.expand)
        )
        if query.fields is not None:
            selection = self._exchange.selection(query.fields)
            items = [select(item, selection) for item in items]
        body: dict[str, Any] = {"items": items}
        if etags is not None:
            body["etags"] = etags
        if page.next_page_token:
            body["next_page_token"] = page.next_page_token
        if watch_token:
            body["watch_token"] = watch_token
        if page.total is not None:
            body["total"] = page.total
        content = page_content(self.operations, body, request.scope["path"])
        return JsonResponse(content, headers=self._vary | next_link(request, page.next_page_token))

    async def get(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """The document and its ETag; 304 where `If-None-Match` names that one.

        With `expand` there is no ETag, and conditions are not looked at. `Accept: text/event-stream` asks for a watch
        of the document, where that is offered.
        """
        check_path(request)
        if self._watching and form_of(request) is Form.EVENTS:
            return await self._watching.document(request, scope, actor)
        asked = parse_parameters(request.scope["query_string"], self.get_parameters)
        if "revision" in asked:
            return await self._past(request, scope, actor, asked)
        caller, keys = await self._exchange.reader(request, scope, actor, Operation.GET)
        stored = await self.operations.get(caller, keys)
        if "expand" in asked:
            # It shows other documents too, whose changes the tag of this one does not tell.
            headers = self._vary
            (wire,) = await self._expander.items(Asked(request, scope, actor), [dict(stored.raw)], asked["expand"])
        else:
            headers = {"ETag": quoted(stored.etag), **self._vary}
            if has_condition(request) and await client_has(request, stored):
                return Response(status_code=304, headers=headers)
            wire = stored.codec.wire(stored.raw)
        if "fields" in asked:
            wire = select(wire, self._exchange.selection(asked["fields"]))
        try:
            return JsonResponse(dumps(wire), headers=headers)
        except Unreadable:
            raise named(self.operations, stored.key) from None

    async def create(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Create a document.

        An import, where it is offered, is a body of NDJSON: one document in each line, and one result for each.
        """
        check_path(request)
        if self._imports and is_import(request):
            return await self._imports.answer(request, scope, actor)
        dry = only_validates(request)
        condition = precondition_of(request)
        condition.check(None)
        caller = await self._callers.of(request, Operation.CREATE, scope, actor)
        body, tree = await self._exchange.body(request, caller)
        build = self.operations.bodies.builder(body, tree, caller.scope)
        if (repeats := self._exchange.repeats(request, caller, body)) and not dry:
            return await self._create_once(request, caller, build, repeats)
        written = await self.operations.create(caller, self._exchange.keys(request), build, validate_only=dry)
        return self._exchange.written(request, written, dry=dry)

    async def _create_once(
        self, request: Request, caller: Caller, build: Callable[[], T], repeats: Repeats
    ) -> Response:
        keys = self._exchange.keys(request)

        async def work(unit: Unit) -> Answer:
            await repeats.begin(unit)
            written = await self.operations.create(caller, keys, build, unit)
            answer = self._exchange.answer(request, written)
            await repeats.keep(unit, answer)
            return answer

        return await answer_once(repeats, self.resource.timeout, lambda _: self.operations.run(work, keys or None))

    async def replace(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Replace the document by the body: what is left out goes back to its default.

        What clients cannot see, or cannot write, stays as it is.
        """
        check_path(request)
        parameters = parse_parameters(request.scope["query_string"], self.replace_parameters)
        dry = parameters.get("validate_only", False)
        condition = self._exchange.condition(request)
        keys = self._exchange.keys(request)
        caller = await self._callers.of(request, Operation.REPLACE, scope, actor, keys[-1])
        _, tree = await self._exchange.body(request, caller)
        bodies = self.operations.bodies
        tree = bodies.with_key(tree, keys[-1])
        written = await self.operations.update(
            caller,
            keys,
            bodies.replacement(tree, caller.scope),
            condition=condition,
            events=REPLACED,
            otherwise=bodies.builder(dumps(tree), tree, caller.scope) if parameters.get("allow_missing") else None,
            validate_only=dry,
        )
        return self._exchange.written(request, written, dry=dry)

    async def patch(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Change some fields: by JSON Merge Patch (RFC 7396) or JSON Patch (RFC 6902), as `Content-Type` says."""
        check_path(request)
        dry = only_validates(request)
        media_type = media_type_of(request, MERGE_PATCH, JSON_PATCH)
        condition = self._exchange.condition(request)
        keys = self._exchange.keys(request)
        caller = await self._callers.of(request, Operation.PATCH, scope, actor, keys[-1])
        bodies = self.operations.bodies
        body = await body_of(request, self.resource.max_body_size)
        _, tree = read_body(body, self.resource.max_body_values, bodies.widening)
        patch: Patch = MergePatch(tree) if media_type == MERGE_PATCH else JsonPatch(tree, bodies.unreadable_names)
        self._exchange.check_scope(caller, patch.touched())
        edit = bodies.patched(patch)
        written = await self.operations.update(caller, keys, edit, condition=condition, validate_only=dry)
        return self._exchange.written(request, written, dry=dry)

    async def delete(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Delete the document."""
        check_path(request)
        refuse_untyped_body(request)
        parameters = parse_parameters(request.scope["query_string"], self.delete_parameters)
        condition = self._exchange.condition(request)
        keys = self._exchange.keys(request)
        caller = await self._callers.of(request, Operation.DELETE, scope, actor, keys[-1])
        cascade, dry = parameters.get("cascade", False), parameters.get("validate_only", False)
        await self.operations.delete(caller, keys, condition=condition, cascade=cascade, validate_only=dry)
        return Response(status_code=204)

    async def restore(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Bring the document back that was deleted last under this key."""
        check_path(request)
        refuse_untyped_body(request)
        dry = only_validates(request)
        condition = self._exchange.condition(request)
        keys = self._exchange.keys(request)
        caller = await self._callers.of(request, Operation.RESTORE, scope, actor, keys[-1])
        written = await self.operations.restore(caller, keys, condition=condition, validate_only=dry)
        return self._exchange.written(request, written, dry=dry)
