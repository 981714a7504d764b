"""Requests with heads of bounded size: uvicorn's fast parser takes any, and joins what comes bit by bit."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST = 64 * 1024  # bytes of a request line with its headers, or of what follows a body

_PROBLEM = (
    b'{"type":"urn:regesta:problem:headers-too-large","title":"The headers are too large","status":431,'
    b'"detail":"the request line and the headers may have at most %d bytes","code":"HEADERS_TOO_LARGE",'
    b'"instance":"/","errors":[]}' % LARGEST
)
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-type: application/problem+json\r\ncontent-length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


class HttpWithLimit(HttpToolsProtocol):
    """HTTP/1.1 that refuses larger heads with 431 (RFC 6585, 5) and ends the connection.

    It counts what comes while nothing of a body does.
    """

    _head = 0

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self.transport.is_closing():
            return
        self._head += len(data)
        super().data_received(data)
        if self._head > LARGEST and not self.transport.is_closing():
            # In front of another answer it would be taken for that.
            if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # not yet
                self.transport.write(_ANSWER)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head was small enough."""
        self._head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bodies have limits of their own."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request has a head of its own."""
        self._head = 0
        super().on_message_complete()
