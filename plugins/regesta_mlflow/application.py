"""The protocol as an ASGI application: finds the endpoint, makes the call, and says everything in MLflow's JSON."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regesta import Caller, ProblemError, Registry
from regesta.http import Callers
from regesta.store import as_problem
from regesta.workspaces import DEFAULT, HEADER, PATTERN
from regesta_mlflow.calls import Call, Route
from regesta_mlflow.errors import JSON, Code, Refusal, answer_of, refusal_of
from regesta_mlflow.sent import sent_of
from regesta_mlflow.wire import dumped

WORKSPACE = b"x-mlflow-workspace"

logger = logging.getLogger("regesta.mlflow")

Routes = Mapping[tuple[str, str], Route]

_NATIVE = HEADER.lower().encode()
_WORKSPACE = re.compile(PATTERN)
# `/webhooks/{id}`, `/webhooks/{id}/test`
_KEYED = re.compile(r"(/webhooks/)([^/]+)(/test)?\Z")


class Application:
    """Answers all requests below the paths where it is mounted; what it does not know too."""

    def __init__(self, registry: Registry, routes: Routes) -> None:
        self._routes = routes
        self._callers = {
            name: Callers(registry[name]) for name in dict.fromkeys(route.resource for route in routes.values())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            body = await self._answered(Request(scope, receive))
            response = Response(dumped(body), 200, media_type=JSON)
        except Refusal as refusal:
            response = answer_of(refusal)
        except ProblemError as error:
            response = answer_of(refusal_of(error))
        except PyMongoError as error:
            response = answer_of(_of_database(error))
        except Exception:
            logger.exception("request failed")
            response = answer_of(_DEFECT)
        await response(scope, receive, send)

    def answer_error(self, error: ProblemError, path: str) -> Response:  # noqa: ARG002  # the service gives both
        """What the service refuses by itself, in this protocol."""
        return answer_of(refusal_of(error))

    async def _answered(self, request: Request) -> dict[str, Any]:
        path: str = request.scope["path"][len(request.scope.get("root_path", "")) :]
        key, keyed = "", _KEYED.match(path) if path.startswith("/webhooks/") else None
        if keyed:
            key, path = keyed[2], f"{keyed[1]}{{id}}{keyed[3] or ''}"
        route = self._routes.get((request.method, path))
        if route is None:
            raise Refusal(f"There is no endpoint {request.method} {path}", Code.ENDPOINT_NOT_FOUND)
        sent = await sent_of(request)
        caller = await self._caller(request, route, key or sent.text("name"))
        return await route.endpoint(Call(sent, caller, key))

    async def _caller(self, request: Request, route: Route, key: str) -> Caller:
        scope = {"workspace": workspace_of(request.scope)}
        return await self._callers[route.resource].of(request, route.operation, scope, None, key or None)


def workspace_of(scope: Scope) -> str:
    """The workspace that a request is about: MLflow's header or Regesta's own. Raises Refusal."""
    found = {value for name, value in scope["headers"] if name in (WORKSPACE, _NATIVE)}
    if not found:
        return DEFAULT
    if len(found) > 1:  # one may be the client's, another its proxy's
        raise Refusal("The request's headers name more than one workspace")
    name: str = found.pop().decode("latin-1")
    if not _WORKSPACE.match(name):
        raise Refusal(f"Invalid workspace {name[:100]!r}: lower case letters, digits, '-' and '_' name one")
    return name


_DEFECT = Refusal("The server failed; its log says why", Code.INTERNAL_ERROR)


def _of_database(error: PyMongoError) -> Refusal:
    known = as_problem(error)
    if known is not None:
        return refusal_of(known)
    logger.error("request failed", exc_info=error)
    return _DEFECT
