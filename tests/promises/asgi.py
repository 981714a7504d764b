"""A client that calls an application directly.

It is as cheap as can be, for tests that send tens of thousands of requests.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        """The ETag header."""
        return self.headers["etag"]

    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.body)


async def send(app: ASGIApp, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request; `if_match="..."` becomes `If-Match`. PATCH bodies are merge patches."""
    content = b"" if body is None else orjson.dumps(body)
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if body is not None:
        sent.append((b"content-type", (MERGE_PATCH if method == "PATCH" else JSON).encode()))
    scope = scope_of(method, path, [(b"host", b"test"), *sent])
    messages: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def collect(message: MutableMapping[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, collect)
    found = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
    return Answer(messages[0]["status"], found, b"".join(message.get("body", b"") for message in messages[1:]))


def scope_of(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """What a server tells an application of a request; `path` may have a query."""
    route, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": route,
        "raw_path": route.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "state": {},
    }
