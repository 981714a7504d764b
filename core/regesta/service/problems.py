"""Every error of the service as problem+json, also where no route of ours is involved."""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI, routing
from fastapi.exceptions import RequestValidationError
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from regesta.errors import MethodNotAllowed, NotFound, ProblemError
from regesta.http import problem_response
from regesta.http.problems import from_http_exception, from_validation
from regesta.http.routes import ends_with
from regesta.store import as_problem


def add_problem_handlers(app: FastAPI) -> None:
    """Answer what routes raise, and what the application says itself (404, 405), as problems."""
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(PyMongoError, _database)


def routes_of(app: FastAPI) -> list[Any]:
    """Every route, those of included routers too, with its whole `path` and its `methods`."""
    contexts: Callable[..., Iterable[Any]] | None = getattr(routing, "iter_route_contexts", None)
    return list(app.routes if contexts is None else contexts(app.routes))


def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for these
    path = request.scope["path"]
    if error.status_code == MethodNotAllowed.status:
        allowed = {"Allow": ", ".join(sorted(_methods_at(request)))}
        return problem_response(MethodNotAllowed(f"{request.method} is not offered here", headers=allowed), path)
    if error.status_code == NotFound.status and request.scope.get("route") is None:
        return problem_response(NotFound("there is nothing at this path"), path)
    return from_http_exception(error, path)


def _methods_at(request: Request) -> set[str]:
    """RFC 9110 wants all of them; the router knows only those of the first route that fits."""
    found: set[str] = set()
    for route in routes_of(request.app):
        pattern = getattr(route, "path_regex", None)
        # `/books/{book}` does not stand for `/books/1:history`.
        others = getattr(getattr(route, "original_route", route), "suffixes_of_others", ())
        if pattern is not None and pattern.match(request.scope["path"]) and not ends_with(request.scope, others):
            found |= set(getattr(route, "methods", None) or ())
    return found


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # it is registered for these
    return problem_response(from_validation(error), request.scope["path"])


def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101  # it is registered for these
    return problem_response(error, request.scope["path"])


def _database(request: Request, error: Exception) -> Response:
    """503 where trying again may help; anything else is a defect."""
    assert isinstance(error, PyMongoError)  # noqa: S101  # it is registered for these
    known = as_problem(error)
    if known is None:
        raise error
    return problem_response(known, request.scope["path"])
