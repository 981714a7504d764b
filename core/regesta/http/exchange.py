"""What every endpoint of one resource does with a request, and with what was written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from beanie import Document
from starlette.requests import Request
from starlette.responses import Response

from regesta.change import Caller
from regesta.errors import Invalid, Issue, Location
from regesta.http.callers import Callers
from regesta.http.headers import JSON, media_type_of, precondition_of
from regesta.http.idempotency import idempotency_key_of
from regesta.http.received import body_of
from regesta.http.responses import JsonResponse, quoted
from regesta.http.selection import Selection, selection_of
from regesta.operations import Operations, Precondition, Written
from regesta.operations.repeats import Answer, Repeats
from regesta.schemas import dumps, read_body

T = TypeVar("T", bound=Document)

# What a path may have unescaped (RFC 3986, 3.3), besides letters and digits.
IN_PATHS = "/:@!$&'()*+,;=~"


class Exchange(Generic[T]):
    """Reads requests to one resource, and answers its writes."""

    def __init__(self, operations: Operations[T]) -> None:
        self.operations = operations
        self.resource = operations.resource
        self.callers = Callers(operations)
        self._names = _path_names(operations)
        self._respelled = dict(_respelled(operations))

    def keys(self, request: Request) -> tuple[str, ...]:
        """The keys in the path, from the outermost parent on, as they are shown."""
        found: Mapping[str, str] = request.path_params
        if self._respelled:
            found = {
                name: self._respelled[name](key) if name in self._respelled else key for name, key in found.items()
            }
        return tuple(found[name] for name in self._names if name in found)

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


def _path_names(operations: Operations[Any]) -> tuple[str, ...]:
    """The path parameters on the way to one document: `("model", "version")`."""
    return tuple(_path_name(each) for each in reversed([*_upwards(operations)]))


def _respelled(operations: Operations[Any]) -> Iterator[tuple[str, Callable[[str], str]]]:
    """The path parameters that a key may be written in several ways in, with what makes it the one that is shown."""
    for each in _upwards(operations):
        if each.addresses.keys.are_moments or each.addresses.keys.are_names:
            yield _path_name(each), each.addresses.keys.canonical


def _upwards(operations: Operations[Any]) -> Iterator[Operations[Any]]:
    """The resource and those above it."""
    yield operations
    if isinstance(operations.parent, Operations):
        yield from _upwards(operations.parent)


def _path_name(operations: Operations[Any]) -> str:
    return operations.resource.singular.replace("-", "_")
