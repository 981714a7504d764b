"""What every request gets: an id, one line in the log, and an answer even where the code fails."""

import logging
import re
import time
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from regesta.errors import ProblemError
from regesta.http import problem_response
from regesta.http.callers import STATE, request_id_from
from regesta.service.logs import current_request
from regesta.service.proxies import PEER, Proxies
from regesta.workspaces import HEADER, PATTERN

logger = logging.getLogger("regesta.request")

ACTOR = "regesta_actor"  # where routes may leave the subject of the caller, for the log
PROBES = frozenset({"/livez", "/readyz"})

_WORKSPACE = HEADER.lower().encode()
_WORKSPACE_PATTERN = re.compile(PATTERN)
_INTERNAL = HTTPStatus.INTERNAL_SERVER_ERROR


class RequestMiddleware:
    """Gives each request its id, logs it once, and answers 500 where nothing else did.

    The id is the client's `X-Request-Id` where that is harmless, else a new one; it stands in the answer, in the
    log and in audit events. With trusted `proxies`, the client's address is what they say. Only the path is
    logged, never the query: it may hold secrets. Probes that succeed are logged at the level debug.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        self._app = app
        self._proxies = proxies
        self._logger = structlog.get_logger().bind(logger="regesta.request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(send)
        self._identify(scope, exchange)
        error = ""
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as failure:
            error = type(failure).__name__
            if exchange.status:  # an answer that has begun can only be broken off: the server does, and logs why
                raise
            # Not through structlog: where nobody has set it up, its tracebacks show variables, and with them secrets.
            logger.exception("request %s failed", exchange.request_id)
            await _answer(exchange, scope, receive)
        except BaseException as end:  # the server gives up on it, or shuts down
            error = type(end).__name__
            raise
        finally:
            self._log(scope, exchange, error)

    def _identify(self, scope: Scope, exchange: "_Exchange") -> None:
        sent, forwarded, workspaces = "", [], []
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                sent = value.decode("latin-1")
            elif name == _WORKSPACE:
                workspaces.append(value.decode("latin-1"))
            elif name == b"x-forwarded-for":
                forwarded.append(value.decode("latin-1"))
        exchange.workspace = ",".join(workspaces)  # no name where it came more than once: that is refused
        exchange.request_id = scope[STATE] = request_id_from(sent)
        current_request.set(exchange.request_id)
        client = scope.get("client")
        scope[PEER] = client[0] if client else ""
        if forwarded and client and self._proxies:
            address = self._proxies.client_of(client[0], ",".join(forwarded))
            if address != client[0]:
                scope["client"] = (address, 0)

    def _log(self, scope: Scope, exchange: "_Exchange", error: str) -> None:
        status = exchange.status
        fields: dict[str, Any] = {
            "method": scope["method"],
            "path": path_of(scope),
            "route": template_of(scope),
            "status": status or None,
            "duration_ms": round((time.perf_counter() - exchange.began) * 1000, 2),
            "bytes": 0 if scope["method"] == "HEAD" else exchange.size,
            "request_id": exchange.request_id,
            "client": scope["client"][0] if scope.get("client") else None,
        }
        if exchange.workspace and _WORKSPACE_PATTERN.match(exchange.workspace):
            fields["workspace"] = exchange.workspace
        if actor := scope.get(ACTOR):
            fields["actor"] = actor
        if error or not exchange.complete:
            fields["error"] = error or "incomplete"
        if error or status >= _INTERNAL:
            self._logger.error("request", **fields)
        elif fields["route"] in PROBES:
            self._logger.debug("request", **fields)
        else:
            self._logger.info("request", **fields)


_OURS = (b"x-request-id", b"x-content-type-options")


class _Exchange:
    """One answer on its way: adds headers to it and looks at what is sent."""

    __slots__ = ("_send", "began", "complete", "request_id", "size", "status", "workspace")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = time.perf_counter()
        self.complete = False
        self.request_id = ""
        self.size = 0
        self.status = 0
        self.workspace = ""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [header for header in message.get("headers", ()) if header[0].lower() not in _OURS]
            headers.append((b"x-request-id", self.request_id.encode("latin-1")))
            headers.append((b"x-content-type-options", b"nosniff"))
            message = {**message, "headers": headers}
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        await self._send(message)


def path_of(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: no control character of a client gets into a log."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "backslashreplace")
    text = raw.partition(b"?")[0].decode("ascii", "backslashreplace")
    return text if text.isprintable() else ascii(text)


def template_of(scope: Scope) -> str | None:
    """The path of the route with its parameters' names, `/api/v1/books/{book}`; None where no route matched."""
    # FastAPI keeps the prefixes of `include_router` there, since a route can be included more than once.
    included = scope.get("fastapi", {}).get("effective_route_context")
    found: str | None = getattr(included or scope.get("route"), "path", None)
    return found


async def _answer(exchange: _Exchange, scope: Scope, receive: Receive) -> None:
    """500, with nothing but the id under which the log has more."""
    error = ProblemError(f"the server failed; its log says more under the request id {exchange.request_id}")
    await problem_response(error, scope["path"])(scope, receive, exchange.send)
