"""Routes that answer errors as problems, in whatever application they are mounted."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import routing
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regesta.errors import MethodNotAllowed, ProblemError
from regesta.http.problems import from_http_exception, from_validation, problem_response

Handler = Callable[[Request], Awaitable[Response]]


class ProblemRoute(routing.APIRoute):
    """A FastAPI route with problems for errors: `APIRouter(route_class=ProblemRoute)`.

    Regesta's own errors, FastAPI's validation errors and HTTPException become problem+json; anything else
    passes to the host's handlers.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, or a shorter way where there is one, with errors answered."""
        inner = self.handler_inside(super().get_route_handler())

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except ProblemError as error:
                return problem_response(error, request.scope["path"])
            except RequestValidationError as error:
                return problem_response(from_validation(error), request.scope["path"])
            except HTTPException as error:
                return from_http_exception(error, request.scope["path"])

        return handler

    def handler_inside(self, handler: Handler) -> Handler:
        """What runs inside; `handler` is FastAPI's own."""
        return handler


class ResourceRoute(ProblemRoute):
    """A generated route. Its endpoint reads the body itself and needs nothing of FastAPI but dependencies.

    So where none is declared, here or at any `include_router` above, the endpoint is called without
    FastAPI's machinery, which would cost more than the rest of a read. FastAPI tells of dependencies that an
    `include_router` adds only through a name of its own; without it the long way is taken, which is
    always right.
    """

    allowed: frozenset[str] = frozenset()

    def handler_inside(self, handler: Handler) -> Handler:
        """The endpoint itself where nothing has to be resolved; else FastAPI's, without a body to read."""
        dependant = _effective_dependant(self)
        if dependant is not None and not dependant.dependencies:
            endpoint: Handler = self.endpoint
            return endpoint

        async def without_body(request: Request) -> Response:
            return await handler(_BodyForEndpoint(request.scope, request.receive))

        return without_body

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 405 as a problem, with every method of this path in `Allow`."""
        if scope["method"] not in (self.methods or ()):
            error = MethodNotAllowed(
                f"{scope['method']} is not offered here", headers={"Allow": ", ".join(sorted(self.allowed))}
            )
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        await super().handle(scope, receive, send)


class _BodyForEndpoint(Request):
    """A request whose body FastAPI takes for empty: declared for OpenAPI, it is read by the endpoint.

    `stream` gives the real one.
    """

    async def body(self) -> bytes:
        return b""


def _effective_dependant(route: routing.APIRoute) -> Any:
    """What FastAPI will resolve for this route; None where that cannot be known."""
    current = getattr(routing, "_effective_route_context_var", None)
    if current is None:
        return None
    context = current.get()
    if context is None:
        return route.dependant
    return context.dependant if context.original_route is route else None
