"""Requests byte for byte: an ASGI call made by hand, and what every refusal must look like."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import httpx
from beanie import Document
from fastapi import FastAPI

from regesta.store import collection_of

JSON = "application/json"
MERGE = "application/merge-patch+json"
PATCH = "application/json-patch+json"
PROBLEM = "application/problem+json"

MEMBERS = {"type", "title", "status", "detail", "code", "instance", "errors"}
LEAKS = re.compile(
    r"(?i:hush|Traceback|File \"|<class|object at 0x|E11000|mongo|bson|beanie|pydantic|sys\.|Error\()"
    r"|(?<!-)\bNone\b|\bTrue\b"
)

Headers = Mapping[str, str] | Sequence[tuple[str | bytes, str | bytes]]
Body = bytes | Iterable[bytes]


async def ask(
    app: Any, method: str, target: str | bytes, content: Body = b"", headers: Headers = (), *, aborted: bool = False
) -> httpx.Response:
    """What the application answers. Nothing is normalised; what it raises comes out here.

    An iterable of chunks is sent without a Content-Length. `aborted`: the client goes away before the end.
    """
    raw = target if isinstance(target, bytes) else target.encode("ascii")
    path, _, query = raw.partition(b"?")
    sent = [(_bytes(name).lower(), _bytes(value)) for name, value in _pairs(headers)]
    if isinstance(content, bytes):
        chunks = [content]
        if content and not any(name == b"content-length" for name, _ in sent):
            sent.append((b"content-length", str(len(content)).encode()))
    else:
        chunks = list(content)
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages += [{"type": "http.disconnect"}] if aborted else [{"type": "http.request", "more_body": False}]
    pending = iter(messages)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"test"), *sent],
        "client": ("192.0.2.7", 50000),
        "server": ("test", 80),
    }
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(pending, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    await app(scope, receive, send)
    start = answered[0]
    body = b"".join(message.get("body", b"") for message in answered[1:])
    return httpx.Response(start["status"], headers=start["headers"], content=body)


@dataclass
class Api:
    """An application over a database. `paths`: its collections, with the documents in them."""

    app: FastAPI
    documents: Sequence[type[Document]]
    alive: str = "/books/seed"

    async def ask(self, method: str, target: str | bytes, content: Body = b"", headers: Headers = ()) -> httpx.Response:
        return await ask(self.app, method, target, content, headers)

    async def send(
        self, method: str, target: str, content: bytes | str, media: str = JSON, **more: str
    ) -> httpx.Response:
        body = content if isinstance(content, bytes) else content.encode()
        return await self.ask(method, target, body, {"content-type": media, **more})

    async def stored(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that is in the collections."""
        found = {}
        for document in self.documents:
            collection: Any = collection_of(document)
            found[document.__name__] = await collection.find({}).sort("_id", 1).to_list(None)
        return found

    async def refuses(  # noqa: PLR0917 - what was asked, after what is expected
        self,
        status: int,
        code: str,
        method: str,
        target: str | bytes,
        /,
        content: Body = b"",
        headers: Headers = (),
        *,
        pointers: Iterable[str] | None = None,
        locs: Iterable[Sequence[str | int]] | None = None,
    ) -> httpx.Response:
        """The answer, which is this problem; nothing was written, and the client can go on."""
        before = await self.stored()
        answer = await self.ask(method, target, content, headers)
        assert answer.status_code == status, answer.text
        problem = problem_in(answer)
        assert problem["code"] == code, problem
        raw = target if isinstance(target, bytes) else target.encode("ascii")
        assert unquote(problem["instance"]) == unquote(raw.partition(b"?")[0].decode())
        if pointers is not None:
            assert {issue["pointer"] for issue in problem["errors"]} == set(pointers), problem
        if locs is not None:
            assert [issue["loc"] for issue in problem["errors"]] == [list(loc) for loc in locs], problem
        assert await self.stored() == before
        assert (await self.ask("GET", self.alive)).status_code == 200
        return answer


def problem_in(answer: httpx.Response) -> dict[str, Any]:
    """The problem that was answered, whole and clean (RFC 9457)."""
    assert answer.headers["content-type"] == PROBLEM
    problem: dict[str, Any] = answer.json()
    assert set(problem) == MEMBERS
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:regesta:problem:{problem['code'].lower().replace('_', '-')}"
    assert re.fullmatch(r"[A-Z][A-Z0-9_]*", problem["code"])
    assert problem["title"]
    assert problem["instance"].startswith("/")
    assert quote(unquote(problem["instance"]), safe="/:@!$&'()*+,;=~") == problem["instance"]
    for issue in problem["errors"]:
        assert set(issue) == {"loc", "pointer", "message", "type"}
        assert issue["message"]
        assert re.fullmatch(r"[a-z][a-z0-9_]*", issue["type"])
        assert issue["loc"][0] in ("body", "query", "path", "header")
        assert issue["pointer"] == (_pointer(issue["loc"][1:]) if issue["loc"][0] == "body" else "")
    shown = answer.text.replace(problem["instance"], "")
    assert not LEAKS.search(shown), shown
    return problem


def merge_patch(content: bytes | str, target: str = "/books/seed") -> tuple[str, str, bytes, Mapping[str, str]]:
    """A JSON Merge Patch as arguments of `refuses`."""
    body = content if isinstance(content, bytes) else content.encode()
    return "PATCH", target, body, {"content-type": MERGE}


def json_patch(content: bytes | str, target: str = "/books/seed") -> tuple[str, str, bytes, Mapping[str, str]]:
    """A JSON Patch as arguments of `refuses`."""
    body = content if isinstance(content, bytes) else content.encode()
    return "PATCH", target, body, {"content-type": PATCH}


def _pointer(parts: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _pairs(headers: Headers) -> Iterable[tuple[str | bytes, str | bytes]]:
    return headers.items() if isinstance(headers, Mapping) else headers


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")
