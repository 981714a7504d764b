"""What every endpoint of one resource does with a request, and with what was written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.declarations import Operation
from regesta.errors import Invalid, Issue, Location
from regesta.hooks import merge_scopes
from regesta.http.aliases import IN_PATHS, resolve_path_keys
from regesta.http.callers import Callers
from regesta.http.headers import JSON, media_type_of, precondition_of
from regesta.http.idempotency import idempotency_key_of
from regesta.http.received import body_of
from regesta.http.responses import JsonResponse, quoted
from regesta.http.selection import Selection, selection_of
from regesta.operations import Operations, Precondition, Written, levels
from regesta.operations.repeats import Answer, Repeats
from regesta.schemas import dumps, read_body

T = TypeVar("T", bound=Document)


class Exchange(Generic[T]):
    """Reads requests to one resource, and answers its writes."""

    def __init__(self, operations: Operations[T]) -> None:
        self.operations = operations
        self.resource = operations.resource
        self.callers = Callers(operations)
        way = [*enumerate(levels(operations))]
        self._names = tuple(level.resource.singular.replace("-", "_") for _, level in way)
        # Where on the way a key may be written in several ways, and what makes it the one that is shown.
        self._respelled = [
            (place, level.addresses.keys.canonical)
            for place, level in way
            if level.addresses.keys.are_moments or level.addresses.keys.are_names
        ]
        self._aliased = [(place, level.addresses.alias_of) for place, level in way if level.resource.key_aliases]

    def keys(self, request: Request) -> tuple[str, ...]:
        """The keys in the path, from the outermost parent on, as they are shown."""
        found: Mapping[str, str] = request.path_params
        keys = [found[name] for name in self._names if name in found]
        for place, canonical in self._respelled:
            if place < len(keys):
                keys[place] = canonical(keys[place])
        return tuple(keys)

    async def reader(
        self, request: Request, scope: Any, actor: Any, operation: Operation, *others: Operation
    ) -> tuple[Caller, tuple[str, ...]]:
        """Who reads, and may do all of these operations; and the keys in the path, with keys in place of aliases.

        Only the caller's scope says which document an alias names. So hooks are asked about the alias first, and then
        about the key. Raises what they raise, NotFound for an alias that names no document, Unavailable.
        """
        keys = self.keys(request)
        caller = await self.caller(request, scope, actor, keys, operation, *others)
        if not self._has_alias(keys):
            return caller, keys
        found = await self._resolved(request, caller, keys)
        if found[-1] != keys[-1] and self._names_one(keys):
            caller = await self.caller(request, scope, actor, found, operation, *others)
        return caller, found

    async def caller(
        self, request: Request, scope: Any, actor: Any, keys: Sequence[str], operation: Operation, *others: Operation
    ) -> Caller:
        """The caller, who may do all of these operations. Raises what `authorize` or `scope_query` raise."""
        key = keys[-1] if self._names_one(keys) else None
        first = await self.callers.of(request, operation, scope, actor, key)
        if not others:
            return first
        merged = first.scope
        for other in others:
            merged = merge_scopes(merged, (await self.callers.of(request, other, scope, actor, key)).scope)
        return Caller(first.actor, first.request_id, merged)

    def _has_alias(self, keys: Sequence[str]) -> bool:
        # Most resources have none, and a generator costs them something.
        return bool(self._aliased) and any(
            place < len(keys) and alias_of(keys[place]) is not None for place, alias_of in self._aliased
        )

    def _names_one(self, keys: Sequence[str]) -> bool:
        return len(keys) == len(self._names)

    async def _resolved(self, request: Request, caller: Caller, keys: tuple[str, ...]) -> tuple[str, ...]:
        # What was sent stands in the path, maybe in another spelling.
        sent = [request.path_params[name] for name in self._names if name in request.path_params]
        found = await resolve_path_keys(request, self.operations, caller, sent)
        return tuple(new if new != old else key for new, old, key in zip(found, sent, keys, strict=True))

    def selection(self, fields: Sequence[str]) -> Selection:
        """What `fields=` selects; the key is always shown, so that an item can be told from another."""
        key = self.operations.addresses.key_field
        return selection_of(tuple(self.operations.codec.wire_path(path) for path in (key, *fields)))

    def condition(self, request: Request) -> Precondition:
        """What the change of a document depends on. Raises Malformed, PreconditionRequired where it must."""
        condition = precondition_of(request)
        if self.resource.require_if_match:
            condition.demand()
        return condition

    async def body(self, request: Request, caller: Caller) -> tuple[bytes, dict[str, Any]]:
        """The body as sent and as a tree of what clients may send. Raises what is wrong with it."""
        media_type_of(request, JSON)
        body = await body_of(request, self.resource.max_body_size)
        body, tree = read_body(body, self.resource.max_body_values, self.operations.bodies.widening)
        return body, self.checked(caller, tree)

    def checked(self, caller: Caller, sent: Any) -> dict[str, Any]:
        """The tree of a body, once it has nothing but what this caller may send. Raises Invalid."""
        tree = self.operations.bodies.checked(sent)
        self.check_scope(caller, [(name, ("body", name)) for name in tree])
        return tree

    def check_scope(self, caller: Caller, sent: Iterable[tuple[str, Location]]) -> None:
        """Raises Invalid for fields that the scope sets: they are the server's, even where no marker says so."""
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

    def repeats(self, request: Request, caller: Caller, body: bytes) -> Repeats | None:
        """Where an Idempotency-Key was sent: what makes the request's effect one. Raises Malformed."""
        key = idempotency_key_of(request)
        if key is None:
            return None
        subject = (self.resource.name, request.method, request.scope["path"], key)
        return Repeats(self.operations.collection, caller, subject, body)

    def written(self, request: Request, written: Written[T], *, dry: bool) -> Response:
        """The answer to a write."""
        if dry:
            return JsonResponse(dumps(written.codec.wire(written.raw)))
        answer = self.answer(request, written)
        return JsonResponse(answer.body, answer.status, answer.headers)

    def answer(self, request: Request, written: Written[T]) -> Answer:
        """The same, as it can be kept to be given again."""
        headers = {"ETag": quoted(written.etag)}
        if written.created:
            path, key = request.scope["path"], quote(written.key, safe="")
            if request.method == "PUT":  # what was sent may be another text of the key
                path, key = path.rpartition("/")[0], quote(written.key, safe=IN_PATHS)
            headers["Location"] = f"{quote(path, safe=IN_PATHS)}/{key}"
        return Answer(201 if written.created else 200, headers, dumps(written.codec.wire(written.raw)))
