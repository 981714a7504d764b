"""What web pages of other origins could make a browser do: refused before any route sees it."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from regesta.errors import Forbidden, Malformed, Misdirected, ProblemError, UnsupportedMedia
from regesta.http import has_untyped_body, problem_response
from regesta.http.headers import UNTYPED
from regesta.service.hosts import AllowedHosts, Host, host_of, same_origin
from regesta.service.proxies import PEER, Proxies

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # browsers let any page send these; no page can read the answers

AnswerError = Callable[[ProblemError, str], Response]
"""Makes the answer to an error from the error and the path."""

_REMEMBERED = 256  # `Host` headers that were allowed; there are few
_OF_ORIGIN = (b"host", b"origin", b"sec-fetch-site", b"x-forwarded-host")
_OF_BODY = (b"content-type", b"content-length", b"transfer-encoding")
_READ = frozenset({*_OF_ORIGIN, *_OF_BODY})


class BrowserMiddleware:
    """Refuses requests that a foreign web page could have caused, on every path.

    - A `Host` that is not allowed is 421, since DNS rebinding brings such requests; one that is malformed, missing or
      there twice is 400.
    - A write that the browser says is of another origin (`Sec-Fetch-Site`, else `Origin`) is 403.
    - A body without a Content-Type is 415: a page can have one sent without a preflight.
    - WebSockets are refused.

    `X-Forwarded-Host` of a trusted proxy is what the client asked for; anybody else's is ignored. Clients that are no
    browsers send neither `Origin` nor `Sec-Fetch-Site`. `errors` says how applications that are mounted at these paths
    answer errors; others answer problems.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: AllowedHosts, proxies: Proxies, errors: Mapping[str, AnswerError]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._proxies = proxies
        self._errors = {f"{path}/": answer for path, answer in errors.items()}
        self._known: dict[bytes, Host] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no WebSockets here"})
            return
        if scope["type"] == "http":
            try:
                self._check(scope)
            except ProblemError as error:
                await self._answer(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _answer(self, error: ProblemError, path: str) -> Response:
        answers = (answer for prefix, answer in self._errors.items() if path.startswith(prefix))
        return next(answers, problem_response)(error, path)

    def _check(self, scope: Scope) -> None:
        found = [header for header in scope["headers"] if header[0] in _READ]
        if len(found) == 1 and found[0][0] == b"host" and found[0][1] in self._known:  # as most reads of programs
            return
        host = self._host(scope, found)
        if scope["method"] not in SAFE:
            _check_origin(found, host)
        if has_untyped_body(found):
            raise UnsupportedMedia(UNTYPED)

    def _host(self, scope: Scope, found: list[tuple[bytes, bytes]]) -> Host | None:
        """What the client asked for; None for a client of HTTP/1.0 that did not say. Raises Malformed, Misdirected."""
        sent = [value for name, value in found if name == b"host"]
        if not sent and scope.get("http_version") == "1.0":
            return None
        if len(sent) != 1:
            raise Malformed("a request has one Host header", code="INVALID_HOST")
        host = self._allowed(sent[0])
        forwarded = [value for name, value in found if name == b"x-forwarded-host"]
        if forwarded and self._proxies.trust(scope.get(PEER, "")):
            # Proxies append to it, as they do to X-Forwarded-For.
            return self._allowed(forwarded[-1].rpartition(b",")[2].strip())
        return host

    def _allowed(self, sent: bytes) -> Host:
        if known := self._known.get(sent):
            return known
        host = host_of(sent.decode("latin-1"))
        if host is None:
            raise Malformed("the Host header is no name or address with a port", code="INVALID_HOST")
        if not self._hosts.allow(host):
            raise Misdirected(
                "this service does not answer for the host that the request names; if it is one of its names, add it "
                "to REGESTA_ALLOWED_HOSTS"
            )
        if len(self._known) < _REMEMBERED:
            self._known[sent] = host
        return host


def _check_origin(found: list[tuple[bytes, bytes]], host: Host | None) -> None:
    """Raise Forbidden if the browser says that a page of another origin sends this.

    Pages cannot forge `Sec-Fetch-Site`, and a proxy that rewrites `Host` leaves it as it is: so it comes first.
    """
    sites: Any = {value for name, value in found if name == b"sec-fetch-site"}
    if sites:
        foreign = not sites <= {b"same-origin", b"none"}
    else:
        origins = [value.decode("latin-1") for name, value in found if name == b"origin"]
        foreign = any(host is None or not same_origin(origin, host) for origin in origins)
    if foreign:
        raise Forbidden("web pages of other origins may not write here", code="CROSS_ORIGIN")
