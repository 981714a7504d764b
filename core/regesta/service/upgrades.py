"""Requests that offer an upgrade, which nothing here takes: read as if they did not (RFC 9110, 7.8)."""

from collections.abc import Callable, Iterable
from typing import Any

import httptools

MOST = 8  # requests with such an offer that may come in one piece

_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class ParserWithoutUpgrades:
    """httptools' parser, which skips the body of a request that offers an upgrade, as Java's HttpClient does with h2c.

    It starts again with the head of such a request without the offer. `head` returns that head: method, target,
    version, headers. While `should_upgrade()` is true, callbacks are about the head that is to be read again.
    """

    def __init__(self, protocol: Any, head: "Callable[[], Head]") -> None:
        self._protocol = protocol
        self._head = head
        self._start()

    def feed_data(self, data: bytes) -> None:
        """Parse what came. Raises HttpParserError."""
        for _ in range(MOST):
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                method, target, version, headers = self._head()
                if method == b"CONNECT":
                    raise httptools.HttpParserError("there are no tunnels here") from None
                line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode())
                data = line + b"".join(_without_offer(headers)) + b"\r\n" + data[offer.args[0] :]
                self._start()
            else:
                return
        raise httptools.HttpParserError("too many offers of an upgrade")

    def _start(self) -> None:
        self._parser = parser = httptools.HttpRequestParser(self._protocol)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        # What uvicorn asks for at each request.
        self.get_method = parser.get_method
        self.get_http_version = parser.get_http_version
        self.should_keep_alive = parser.should_keep_alive
        self.should_upgrade = parser.should_upgrade


Head = tuple[bytes, bytes, str, Iterable[tuple[bytes, bytes]]]


def _without_offer(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for name, value in headers:
        kept = value
        if name in _OFFERS:
            continue
        if name == b"connection":
            kept = b",".join(token for token in value.split(b",") if token.strip().lower() not in _OFFERS)
        if kept:
            yield b"%b: %b\r\n" % (name, kept)
