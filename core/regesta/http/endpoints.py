"""The generated endpoints of one resource: from a request to the operations and back."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.errors import Invalid, Issue, Location, PreconditionFailed
from regesta.http.callers import Callers
from regesta.http.headers import (
    EVENT_STREAM,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    accept_of,
    body_of,
    check_path,
    count_of,
    has_condition,
    media_type_of,
    opaque,
    precondition_of,
    prefers,
    tags_of,
)
from regesta.http.selection import Selection, select, selection_of
from regesta.http.watching import Watching
from regesta.operations import JsonPatch, MergePatch, Operations, Patch, Stored, Written, etag_of
from regesta.operations.actions import REPLACED
from regesta.query import Parameter, flag, parse_parameters
from regesta.resource import Operation
from regesta.schemas import dumps, read_json

T = TypeVar("T", bound=Document)


class Endpoints(Generic[T]):
    """What each generated route calls. `scope` and `actor` are what the resource's dependencies answered."""

    def __init__(self, operations: Operations[T]) -> None:
        self.operations = operations
        self.resource = operations.resource
        self.callers = Callers(operations)
        self._names = path_names(operations)
        self._offers_watch = Operation.WATCH in self.resource.operations
        self.watching = Watching(self)
        self.get_parameters: dict[str, Parameter] = {"fields": operations.rules.fields_parameter}
        # Where the server makes the key, only POST creates.
        chosen = self.resource.key not in self.resource.read_only
        self.replace_parameters: dict[str, Parameter] = (
            {"allow_missing": flag("Create the document where it is missing.")} if chosen else {}
        )
        self.delete_parameters: dict[str, Parameter] = (
            {"cascade": flag("Delete everything below it as well, in one transaction.")} if operations.children else {}
        )

    async def list(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """A page, or a watch where that is asked for."""
        if self._wants_watch(request):
            return await self.watching.collection(request, scope, actor)
        check_path(request)
        query = self.operations.rules.parse(request.scope["query_string"])
        caller = await self.callers.of(request, Operation.LIST, scope, actor)
        watch_token = ""
        if query.include_watch:
            page, watch_token = await self.watching.page(caller, self.keys(request), query, count_of(request))
        else:
            page = await self.operations.page(caller, self.keys(request), query, count_of(request))
        etags = [quoted(etag_of(raw)) for raw in page.raws] if query.include_etag else None
        items = page.into_wires()
        if query.fields is not None:
            selection = self.selection(query.fields)
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
        return JsonResponse(dumps(body), headers=_next_link(request, page.next_page_token))

    async def get(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """One document, 304 where the client has it; or a watch of it."""
        if self._wants_watch(request):
            return await self.watching.document(request, scope, actor)
        check_path(request)
        shown = parse_parameters(request.scope["query_string"], self.get_parameters).get("fields")
        keys = self.keys(request)
        caller = await self.callers.of(request, Operation.GET, scope, actor, keys[-1])
        stored = await self.operations.get(caller, keys)
        etag = stored.etag
        if has_condition(request) and not self._is_wanted(request, etag):
            return Response(status_code=304, headers={"ETag": quoted(etag)})
        wire = stored.codec.wire(stored.raw)
        if shown is not None:
            wire = select(wire, self.selection(shown))
        return JsonResponse(dumps(wire), headers={"ETag": quoted(etag)})

    async def create(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """A new document."""
        check_path(request)
        parse_parameters(request.scope["query_string"], {})
        condition = precondition_of(request)
        condition.check(None)
        caller = await self.callers.of(request, Operation.CREATE, scope, actor)
        body, tree = await self._body(request, caller)
        build = self.operations.bodies.builder(body, tree)
        written = await self.operations.create(caller, self.keys(request), build)
        return self._written(request, written)

    async def replace(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """The whole document anew; what clients cannot see stays where they do not send it."""
        check_path(request)
        parameters = parse_parameters(request.scope["query_string"], self.replace_parameters)
        condition = precondition_of(request)
        if self.resource.require_if_match:
            condition.demand()
        keys = self.keys(request)
        caller = await self.callers.of(request, Operation.REPLACE, scope, actor, keys[-1])
        _, tree = await self._body(request, caller)
        bodies = self.operations.bodies
        tree = bodies.with_key(tree, keys[-1])
        written = await self.operations.update(
            caller,
            keys,
            bodies.replacement(tree),
            condition=condition,
            events=REPLACED,
            otherwise=bodies.builder(dumps(tree), tree) if parameters.get("allow_missing") else None,
        )
        return self._written(request, written)

    async def patch(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """Some fields, by JSON Merge Patch or JSON Patch."""
        check_path(request)
        parse_parameters(request.scope["query_string"], {})
        media_type = media_type_of(request, MERGE_PATCH, JSON_PATCH)
        condition = precondition_of(request)
        if self.resource.require_if_match:
            condition.demand()
        keys = self.keys(request)
        caller = await self.callers.of(request, Operation.PATCH, scope, actor, keys[-1])
        tree = read_json(await body_of(request, self.resource.max_body_size))
        bodies = self.operations.bodies
        patch: Patch = MergePatch(tree) if media_type == MERGE_PATCH else JsonPatch(tree, bodies.hidden_names)
        self._check_scope(caller, patch.touched())
        written = await self.operations.update(caller, keys, bodies.patched(patch), condition=condition)
        return self._written(request, written)

    async def delete(self, request: Request, scope: Any = None, actor: Any = None) -> Response:
        """The document away."""
        check_path(request)
        parameters = parse_parameters(request.scope["query_string"], self.delete_parameters)
        condition = precondition_of(request)
        if self.resource.require_if_match:
            condition.demand()
        keys = self.keys(request)
        caller = await self.callers.of(request, Operation.DELETE, scope, actor, keys[-1])
        await self.operations.delete(caller, keys, condition=condition, cascade=parameters.get("cascade", False))
        return Response(status_code=204)

    def _wants_watch(self, request: Request) -> bool:
        accept = accept_of(request)
        return self._offers_watch and b"event-stream" in accept.lower() and prefers(accept, EVENT_STREAM)

    def _is_wanted(self, request: Request, etag: str) -> bool:
        """Whether the client lacks the document with this tag. Raises PreconditionFailed where it means another."""
        if_match, if_none_match = tags_of(request, "if-match"), tags_of(request, "if-none-match")
        if if_match and "*" not in if_match and quoted(etag) not in if_match:
            raise PreconditionFailed("the document has another ETag")
        return not ("*" in if_none_match or etag in map(opaque, if_none_match))

    def selection(self, fields: Sequence[str]) -> Selection:
        """What `fields=` selects; the key is always shown, so that an item can be told from another."""
        key = self.operations.addresses.key_field
        return selection_of(tuple(self.operations.codec.wire_path(path) for path in (key, *fields)))

    def keys(self, request: Request) -> tuple[str, ...]:
        """The keys in the path, from the outermost parent on."""
        found: Mapping[str, str] = request.path_params
        return tuple(found[name] for name in self._names if name in found)

    async def _body(self, request: Request, caller: Caller) -> tuple[bytes, dict[str, Any]]:
        media_type_of(request, JSON)
        body = await body_of(request, self.resource.max_body_size)
        tree = self.operations.bodies.checked(read_json(body))
        self._check_scope(caller, [(name, ("body", name)) for name in tree])
        return body, tree

    def _check_scope(self, caller: Caller, sent: Sequence[tuple[str, Location]] | Any) -> None:
        """Fields that the scope sets are the server's, even where the document does not mark them so."""
        if not caller.scope:
            return
        codec = self.operations.codec
        managed = {
            codec.wire_names.get(name, name) for name, value in caller.scope.items() if not isinstance(value, Mapping)
        }
        issues = [
            Issue(loc, "is set by the server: leave it out", "read_only") for name, loc in sent if name in managed
        ]
        if issues:
            raise Invalid.of(issues)

    def _written(self, request: Request, written: Written[T] | Stored[T]) -> Response:
        headers = {"ETag": quoted(written.etag)}
        created = isinstance(written, Written) and written.created
        if created:
            path = quote(request.scope["path"], safe="/:@!$&'()*+,;=~")
            key = quote(written.key, safe="")
            headers["Location"] = path if request.method == "PUT" else f"{path}/{key}"
        return JsonResponse(dumps(written.codec.wire(written.raw)), 201 if created else 200, headers)


class JsonResponse(Response):
    """JSON that is already bytes, with few headers: `init_headers` of Starlette looks for what is never there."""

    def __init__(self, content: bytes, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status_code
        self.background = None
        self.body = content
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            *[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()],
        ]


def path_names(operations: Operations[Any]) -> tuple[str, ...]:
    """The path parameters on the way to one document: `("model", "version")`."""
    above = path_names(operations.parent) if isinstance(operations.parent, Operations) else ()
    return (*above, operations.resource.singular.replace("-", "_"))


def quoted(etag: str) -> str:
    """An entity tag as HTTP writes it."""
    return f'"{etag}"'


def _next_link(request: Request, token: str) -> dict[str, str]:
    """`Link: <...>; rel="next"` (RFC 8288) with the same query and the next page's token."""
    if not token:
        return {}
    query = quote(request.scope["query_string"], safe="/:@!$&'()*+,;=~?%")
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) != "page_token"]
    target = quote(request.scope["path"], safe="/:@!$&'()*+,;=~")
    return {"Link": f'<{target}?{"&".join([*kept, f"page_token={token}"])}>; rel="next"'}
