"""HTTP/1.1 with bounds that uvicorn's fast parser has none of: the size and time of heads, and the connections."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from regesta.http.problems import problem_body
from regesta.service.upgrades import Head, ParserWithoutUpgrades

logger = logging.getLogger("regesta.service")

LARGEST = 64 * 1024  # bytes of a request line with its headers, or of what follows a body
SPARE = 64  # connections beyond the limit that are open just to be answered
SOON = 1.0  # seconds in which these must begin to ask
QUIET = 60.0  # seconds between two warnings of the same kind


@dataclass(slots=True)
class Bounds:
    """What the connections of one server share: `head` seconds for each head, and how many there may be."""

    head: float
    connections: int
    _warned: float = field(default=-QUIET, init=False)

    def warn(self, now: float) -> None:
        """Say that connections are refused, once in a while."""
        if now - self._warned >= QUIET:
            self._warned = now
            logger.warning(
                "%d connections are open, and more are refused: see REGESTA_MAX_CONNECTIONS", self.connections
            )


def _answer(status: int, phrase: str, code: str, detail: str, *, more: str = "") -> bytes:
    """A whole answer, after which the connection ends."""
    problem = orjson.dumps(problem_body(status, code, phrase, detail, instance="/"))
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\n{more}"
        f"content-type: application/problem+json\r\ncontent-length: {len(problem)}\r\n\r\n"
    )
    return head.encode() + problem


_TOO_LARGE = _answer(
    431,
    "Request Header Fields Too Large",
    "HEADERS_TOO_LARGE",
    f"the request line and the headers may have at most {LARGEST} bytes",
)
_TOO_SLOW = _answer(408, "Request Timeout", "HEADERS_TOO_SLOW", "the request line and the headers took too long")
_TOO_MANY = _answer(
    503,
    "Service Unavailable",
    "TOO_MANY_CONNECTIONS",
    "as many connections are open as this server takes: close idle ones, or try again later",
    more="retry-after: 1\r\n",
)


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 whose heads and connections are bounded.

    - A larger head is refused with 431 (RFC 6585, 5). It counts what comes while nothing of a body does.
    - A head that is not whole in time is refused with 408, however steadily its bytes come; where nothing came at all,
      the connection just ends. The same time is given to what follows an answered request and begins no other one.
    - A connection too many is refused with 503; those beyond `SPARE` of them are dropped.

    The authority of an absolute request target replaces `Host` (RFC 9112, 3.2.2). Offers of an upgrade are ignored.
    """

    def __init__(self, *arguments: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(*arguments, **options)
        parser: Any = ParserWithoutUpgrades(self, self._head_of_request)  # as far as uvicorn needs one
        self.parser = parser
        self._bounds = bounds
        self._head = 0  # bytes
        self._began = False  # a head, which is not whole yet
        self._refused = False
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        open_now, most = len(self.connections), self._bounds.connections
        self._refused = open_now > most
        if self._refused:
            self._bounds.warn(self.loop.time())
        if open_now > most + SPARE:
            transport.abort()
        else:
            self._expect_head(min(SOON, self._bounds.head) if self._refused else self._bounds.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.transport.is_closing():
            return
        if self._refused:
            self._end_with(_TOO_MANY)
            return
        self._head += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head > LARGEST:
            self._end_with(_TOO_LARGE)
        elif self._overdue is None and self._is_unoccupied and self.timeout_keep_alive_task is None:
            self._expect_head(self._bounds.head)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._began = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head was small enough, and came in time."""
        if self.parser.should_upgrade():
            return
        self._head = 0
        self._began = False
        self._expect_nothing()
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bodies have limits of their own."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request has a head of its own."""
        if self.parser.should_upgrade():
            return
        self._head = 0
        super().on_message_complete()
        if self._is_unoccupied:  # it was answered before its body was whole, and now it is idle
            self._expect_nothing()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        """Wait for the next head; some of it may have come before."""
        super().on_response_complete()
        if self._began and self._is_unoccupied and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._expect_head(self._bounds.head)

    @property
    def _is_unoccupied(self) -> bool:
        """Whether no request is being answered: an answer now would be taken for the next one's."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # not yet

    def _expect_head(self, seconds: float) -> None:
        self._expect_nothing()
        self._overdue = self.loop.call_later(seconds, self._give_up)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        self._overdue = None
        if not self.transport.is_closing():
            self._end_with(_TOO_SLOW if self._began else b"")

    def _end_with(self, answer: bytes) -> None:
        if answer and self._is_unoccupied:
            self.transport.write(answer)
        self.transport.close()

    def _head_of_request(self) -> Head:
        return self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers

    def _take_host_of_target(self) -> None:
        target = httptools.parse_url(self.url)
        named = [at for at, (name, _) in enumerate(self.headers) if name == b"host"]
        if target.host and len(named) <= 1:
            port = b":%d" % target.port if target.port else b""
            host = b"[%b]" % target.host if b":" in target.host else target.host
            for at in named:
                del self.headers[at]
            self.headers.append((b"host", host + port))
