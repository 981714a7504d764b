"""Answers of the generated endpoints."""

from collections.abc import Mapping
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import Response


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


def quoted(etag: str) -> str:
    """An entity tag as HTTP writes it."""
    return f'"{etag}"'


def next_link(request: Request, token: str) -> dict[str, str]:
    """`Link: <...>; rel="next"` (RFC 8288) with the same query and the next page's token."""
    if not token:
        return {}
    query = quote(request.scope["query_string"], safe="/:@!$&'()*+,;=~?%")
    kept = [part for part in query.split("&") if part and unquote(part.partition("=")[0]) != "page_token"]
    target = quote(request.scope["path"], safe="/:@!$&'()*+,;=~")
    return {"Link": f'<{target}?{"&".join([*kept, f"page_token={token}"])}>; rel="next"'}
