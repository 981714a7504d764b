"""Whatever is sent: never a 5xx, never an invalid document, never a list that was not asked for."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .asking import JSON, MERGE, PATCH, Api, problem_in
from .library import Book

pytestmark = pytest.mark.asyncio(loop_scope="session")

often = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

FIELDS = (
    "isbn",
    "title",
    "year",
    "rating",
    "author",
    "tags",
    "meta",
    "published",
    "shelf",
    "secret",
    "pin",
    "added_at",
    "id",
)
NAMES = st.sampled_from([*FIELDS, "name", "age", "_id", "$set", "a.b", "", "x"]) | st.text(max_size=3)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["2024-01-01T00:00:00Z", "seed", "$title", "\ud800", "\x00", 1313])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)
VALID: dict[str, Any] = {
    "isbn": "n",
    "title": "T",
    "author": {"name": "n", "age": 1},
    "tags": ["a"],
    "meta": {"a": [1, None]},
}
POINTERS = st.lists(NAMES | st.sampled_from(["0", "-", "k"]), max_size=3).map(
    lambda parts: "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
)
OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | st.text(max_size=2),
        "path": POINTERS | VALUES,
    },
    optional={"value": VALUES, "from": POINTERS | VALUES},
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """The bytes of a good body with some of them changed, gone or doubled."""
    body = bytearray(json.dumps(VALID).encode())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 6)))
        body[start:end] = draw(
            st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b"\\u0000", b"1e999", b"null"])
        )
    return bytes(body)


BODIES = (
    st.builds(lambda more: json.dumps({**VALID, **more}).encode(), OBJECTS)
    | st.builds(lambda value: json.dumps(value).encode(), OBJECTS | VALUES | st.lists(OPERATIONS, max_size=4))
    | mutated()
    | st.binary(max_size=50)
)


async def check(api: Api, answer: httpx.Response) -> None:
    """Every stored book is one: valid, in scope of its rules, and shown as it is stored."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem_in(answer)
    for raw in (await api.stored())["Book"]:
        Book.model_validate(raw, strict=False)
        assert raw["title"] is not None
        assert raw.keys() <= {"_id", *Book.model_fields}
        assert raw["shelf"] == "A" or raw["isbn"] != "seed"
    assert (await api.ask("GET", "/books")).status_code == 200


@pytest.mark.parametrize(
    ("method", "target", "media"),
    [
        ("POST", "/books", JSON),
        ("PUT", "/books/seed", JSON),
        ("PUT", "/books/n?allow_missing=true", JSON),
        ("PATCH", "/books/seed", MERGE),
        ("PATCH", "/books/seed", PATCH),
    ],
)
@given(body=BODIES)
@often
async def test_any_body(api: Api, method: str, target: str, media: str, body: bytes) -> None:
    await check(api, await api.ask(method, target, body, {"content-type": media}))
    if method == "POST":
        for item in (await api.ask("GET", "/books")).json()["items"]:
            if item["isbn"] != "seed":
                await api.ask("DELETE", f"/books/{quote(item['isbn'], safe='')}")


@given(operations=st.lists(OPERATIONS, min_size=1, max_size=6))
@often
async def test_any_json_patch(api: Api, operations: list[Any]) -> None:
    body = json.dumps(operations).encode()
    await check(api, await api.ask("PATCH", "/books/seed", body, {"content-type": PATCH}))


KNOWN = (
    "title",
    "title__ne",
    "title__contains",
    "year",
    "year__in",
    "year__gte",
    "tags",
    "sort",
    "fields",
    "page_size",
    "include",
    "page_token",
)
PAIRS = st.tuples(
    st.sampled_from(KNOWN) | st.text(max_size=8),
    st.text(max_size=8) | st.sampled_from(["1999", "title", "-year", "etag", "$ne"]),
)


@given(pairs=st.lists(PAIRS, max_size=4), raw=st.booleans())
@often
async def test_any_query(api: Api, pairs: list[tuple[str, str]], raw: bool) -> None:
    encoded = [(quote(name, safe=""), quote(text, safe="")) for name, text in pairs]
    query = "&".join(f"{name}={text}" for name, text in encoded)
    answer = await api.ask("GET", f"/books?{query}")
    assert answer.status_code in (200, 400, 422), answer.text
    names = [name for name, _ in pairs]
    if set(names) - set(KNOWN):
        assert answer.status_code in (400, 422)
    if len(set(names) - {"year__in"}) < len([name for name in names if name != "year__in"]):
        assert answer.status_code in (400, 422)
    if answer.status_code == 200:
        assert all(item["isbn"] == "seed" for item in answer.json()["items"] if "isbn" in item)


@given(query=st.binary(max_size=30))
@often
async def test_any_bytes_of_a_query(api: Api, query: bytes) -> None:
    answer = await api.ask("GET", b"/books?" + query)
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code == 200:
        assert not query.strip(b"&")
    else:
        problem_in(answer)


@given(key=st.binary(min_size=1, max_size=12))
@often
async def test_any_key(api: Api, key: bytes) -> None:
    target = "/books/" + quote(key, safe="")
    answer = await api.ask("GET", target)
    assert answer.status_code in (307, 400, 404), answer.text
    created = await api.ask("PUT", f"{target}?allow_missing=true", b'{"title": "T"}', {"content-type": JSON})
    assert created.status_code in (201, 307, 400, 404, 405, 422), created.text
    if created.status_code == 201:
        assert (await api.ask("GET", created.headers["location"])).content == created.content
        assert (await api.ask("DELETE", target)).status_code == 204


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "if-match",
                    "if-none-match",
                    "content-type",
                    "content-length",
                    "content-encoding",
                    "prefer",
                    "x-request-id",
                ]
            ),
            st.binary(max_size=12),
        ),
        max_size=4,
    )
)
@often
async def test_any_headers(api: Api, headers: list[tuple[str | bytes, str | bytes]]) -> None:
    for method, target, body in (
        ("GET", "/books", b""),
        ("PATCH", "/books/seed", b'{"title": "T"}'),
        ("POST", "/books", b"{}"),
    ):
        answer = await api.ask(
            method, target, body, [("content-type", MERGE), *headers] if method == "PATCH" else headers
        )
        assert answer.status_code in (200, 400, 412, 413, 415, 422), answer.text
