"""Routes that answer errors as problems, in whatever application they are mounted."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

from bson.errors import InvalidBSON
from fastapi import routing
from fastapi.exceptions import RequestValidationError
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from regesta.errors import MethodNotAllowed, ProblemError, Unreadable
from regesta.http.aliases import PATH, content_location
from regesta.http.headers import refuse_untyped_body
from regesta.http.problems import from_http_exception, from_validation, problem_response
from regesta.store import as_problem

# FastAPI's keys in the scope of a request that an included router answers.
FASTAPI, CONTEXT, INCLUDED = "fastapi", "effective_route_context", "included_router"
SELECTED = "regesta_selected_route"

Handler = Callable[[Request], Awaitable[Response]]


def answering(inner: Handler) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """`inner`, with errors answered as problems, and Content-Location if the path had an alias of a key."""

    async def handler(request: Request) -> Response:
        try:
            response = await inner(request)
            if PATH in request.scope:
                response.headers.update(content_location(request))
            return response
        except ProblemError as error:
            return problem_response(error, request.scope["path"])
        except InvalidBSON:
            unread = Unreadable("a stored document that this needs is no BSON that can be read")
            return problem_response(unread, request.scope["path"])
        except RequestValidationError as error:
            return problem_response(from_validation(error), request.scope["path"])
        except HTTPException as error:
            return from_http_exception(error, request.scope["path"])
        except PyMongoError as error:
            # Of what was asked outside of a deadline: the first request of all asks what the server can do.
            if (known := as_problem(error)) is None:
                raise
            return problem_response(known, request.scope["path"])

    return handler


class ProblemRoute(routing.APIRoute):
    """A FastAPI route with problems for errors: `APIRouter(route_class=ProblemRoute)`.

    Regesta's own errors, FastAPI's validation errors and HTTPException become problem+json; anything else
    passes to the host's handlers. A body without a Content-Type is refused with 415.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with errors answered."""
        return answering(self.handler_inside(super().get_route_handler()))

    def handler_inside(self, handler: Handler) -> Handler:
        """What runs inside; `handler` is FastAPI's own."""

        async def typed(request: Request) -> Response:
            refuse_untyped_body(request)
            return await handler(request)

        return typed


class ResourceRoute(ProblemRoute):
    """A generated route. Its endpoint reads the body itself and needs nothing of FastAPI but dependencies.

    So where none is declared, here or at any `include_router` above, the endpoint is called without
    FastAPI's machinery, which would cost more than the rest of a read. FastAPI tells of what an
    `include_router` adds only through names of its own; without them the long way is taken, which is
    always right.
    """

    allowed: frozenset[str] = frozenset()
    # What every path of this route contains: an application has many routes, and most requests are of others.
    literal: str = ""
    # `:history`, where this is a custom method; a key that ends so is sent as `%3Ahistory`.
    suffix: str = ""
    suffixes_of_others: tuple[str, ...] = ()

    def handler_inside(self, handler: Handler) -> Handler:
        """FastAPI's handler, without a body to read."""

        async def without_body(request: Request) -> Response:
            return await handler(_BodyForEndpoint(request.scope, request.receive))

        return without_body

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """FastAPI's answer; a request that is this route's is remembered for `ResourceRouter.handle`."""
        if self.literal not in scope["path"] or (self.suffix and not ends_with(scope, (self.suffix,))):
            return Match.NONE, {}
        if self.suffixes_of_others and ends_with(scope, self.suffixes_of_others):
            return Match.NONE, {}
        match, child_scope = super().matches(scope)
        if match is Match.FULL:
            context = _included_as(self, scope)
            if context is not None and _nothing_to_resolve(context, scope):
                scope[SELECTED] = (self, context, child_scope)
        return match, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 405 as a problem, with every method of this path in `Allow`."""
        if scope["method"] not in (self.methods or ()):
            error = MethodNotAllowed(
                f"{scope['method']} is not offered here", headers={"Allow": ", ".join(sorted(self.allowed))}
            )
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        await super().handle(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The short way: the endpoint, and its errors as problems."""
        response = await self._short(Request(scope, receive, send))
        await response(scope, receive, send)

    @cached_property
    def _short(self) -> Handler:
        return answering(getattr(self.endpoint, "direct", self.endpoint))


class ResourceRouter(routing.APIRouter):
    """The router of generated routes: one that `matches` chose, and that needs nothing else, is called at once."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """FastAPI's answer. What another router chose before, whoever asked it, is forgotten."""
        scope.pop(SELECTED, None)
        if not any(literal in scope["path"] for literal in self._literals):
            return Match.NONE, {}
        return self._matched_by_verb(scope) or super().matches(scope)

    def _matched_by_verb(self, scope: Scope) -> tuple[Match, Scope] | None:
        """A route of the request's verb that matches in full; None if FastAPI must be asked, which tries all in turn.

        FastAPI keeps the routes as an `include_router` made them. Any other route in here has its turn, so then
        FastAPI is asked.
        """
        inside = scope.get(FASTAPI, {})
        included = inside.get(INCLUDED)
        candidates = getattr(included, "effective_candidates", None)
        if candidates is None or getattr(included, "original_router", None) is not self:
            return None
        before = inside.get(CONTEXT)
        path: str = scope["path"]
        for route, context in self._by_verb(candidates()).get(scope["method"], ()):
            if route.literal in path and path.endswith(route.suffix):
                inside[CONTEXT] = context
                match, child_scope = route.matches(scope)
                inside[CONTEXT] = before
                if match is Match.FULL:
                    return match, child_scope
        return None

    def _by_verb(self, candidates: list[Any]) -> Mapping[str, Sequence[tuple[ResourceRoute, Any]]]:
        """The routes of each verb in their order; FastAPI makes a new list when routes are added."""
        known = self._indexed.get(id(candidates))
        if known is None or known[0] is not candidates:
            found: dict[str, list[tuple[ResourceRoute, Any]]] = {}
            for context in candidates:
                route = getattr(context, "original_route", None)
                if not isinstance(route, ResourceRoute):
                    found.clear()
                    break
                for verb in route.methods or ():
                    found.setdefault(verb, []).append((route, context))
            known = self._indexed[id(candidates)] = (candidates, found)
        return known[1]

    @cached_property
    def _indexed(self) -> dict[int, tuple[list[Any], Mapping[str, Sequence[tuple[ResourceRoute, Any]]]]]:
        return {}

    @property
    def _literals(self) -> AbstractSet[str]:
        """One of these is in every path of these routes; "" where some have none."""
        if len(self.routes) != self._counted:
            self._counted, self._known = len(self.routes), {getattr(route, "literal", "") for route in self.routes}
        return self._known

    _counted = -1
    _known: AbstractSet[str] = frozenset()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the route that the request matched."""
        selected = scope.pop(SELECTED, None)
        if selected is None:
            await super().handle(scope, receive, send)
            return
        route, context, child_scope = selected
        scope.update(child_scope)
        scope[FASTAPI][CONTEXT] = context
        await route.answer(scope, receive, send)


class _BodyForEndpoint(Request):
    """A request whose body FastAPI takes for empty: declared for OpenAPI, it is read by the endpoint.

    `stream` gives the real one.
    """

    async def body(self) -> bytes:
        return b""


def ends_with(scope: Scope, suffixes: tuple[str, ...]) -> bool:
    """Whether the path ends so as it was sent; servers need not tell that."""
    if not scope["path"].endswith(suffixes):
        return False
    sent: bytes | None = scope.get("raw_path")
    return sent is None or sent.partition(b"?")[0].endswith(tuple(suffix.encode() for suffix in suffixes))


def _included_as(route: routing.APIRoute, scope: Scope) -> Any:
    """The route as an `include_router` made it, with what that added; None where FastAPI does not tell."""
    context = scope.get(FASTAPI, {}).get(CONTEXT)
    return context if getattr(context, "original_route", None) is route else None


def _nothing_to_resolve(context: Any, scope: Scope) -> bool:
    """Whether surely no dependency, limit or measurement of FastAPI's lies between the request and the endpoint."""
    unlimited = getattr(context, "max_body_size", "not told") is None  # older versions have no such limit
    return unlimited and not context.dependant.dependencies and scope.get("fastapi.telemetry") is None
