"""Answers of the generated endpoints."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from regesta.http.aliases import IN_QUERIES, path_of
from regesta.http.streams import in_time

# Bytes that are given to the server at once: it keeps a copy of what a slow client has not taken.
SLICE = 256 * 1024


class JsonResponse(Response):
    """JSON that is already bytes, with few headers: `init_headers` of Starlette looks for what is never there."""

    def __init__(self, content: bytes, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status_code
        self.background = None
        self.body = content
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            *[(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()],
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, a large one slice by slice as the client takes it."""
        if len(self.body) <= SLICE:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), SLICE):
            piece = bytes(self.body[start : start + SLICE])
            await in_time(send({"type": "http.response.body", "body": piece, "more_body": True}))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def quoted(etag: str) -> str:
    """An entity tag as HTTP writes it."""
    return f'"{etag}"'


def next_link(request: Request, token: str) -> dict[str, str]:
    """`Link: <...>; rel="next"` (RFC 8288) with the same query and the next page's token."""
    if not token:
        return {}
    query = quote(request.scope["query_string"], safe=IN_QUERIES)
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) != "page_token"]
    return {"Link": f'<{path_of(request)}?{"&".join([*kept, f"page_token={token}"])}>; rel="next"'}
