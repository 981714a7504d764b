"""Keys in the path, paths that are none, methods that are not offered."""

from urllib.parse import quote

import pytest

from .asking import JSON, MERGE, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = b'{"title": "T"}'
WAYS = [
    pytest.param("GET", b"", {}, id="get"),
    pytest.param("PUT", BODY, {"content-type": JSON}, id="put"),
    pytest.param("PUT?allow_missing=true", BODY, {"content-type": JSON}, id="create"),
    pytest.param("PATCH", BODY, {"content-type": MERGE}, id="patch"),
    pytest.param("DELETE", b"", {}, id="delete"),
]


async def refused(
    api: Api, status: int, code: str, path: bytes, *, way: str, content: bytes, headers: dict[str, str]
) -> None:
    method, _, query = way.partition("?")
    await api.refuses(status, code, method, path + b"?" + query.encode(), content, headers)


@pytest.mark.parametrize(("way", "content", "headers"), WAYS)
@pytest.mark.parametrize("key", [b"%ff", b"a%ff", b"%c3%28", b"%ed%a0%80", b"%c0%ae%c0%ae", b"%e2%82"])
async def test_what_is_not_utf8(api: Api, key: bytes, way: str, content: bytes, headers: dict[str, str]) -> None:
    await refused(api, 400, "INVALID_PATH", b"/books/" + key, way=way, content=content, headers=headers)


@pytest.mark.parametrize(("way", "content", "headers"), WAYS)
@pytest.mark.parametrize("key", [b"seed%0a", b"seed%0A", b"seed%00", b"%00", b"seed%00x", b"a%00b"])
async def test_what_is_no_part_of_a_key(
    api: Api, key: bytes, way: str, content: bytes, headers: dict[str, str]
) -> None:
    await refused(api, 404, "NOT_FOUND", b"/books/" + key, way=way, content=content, headers=headers)


@pytest.mark.parametrize(("way", "content", "headers"), WAYS)
@pytest.mark.parametrize("key", [b"a%2fb", b"%2F", b"seed%2f", b"%2fetc%2fpasswd", b"..%2fseed", b"..%2f..%2fbooks"])
async def test_an_encoded_separator(api: Api, key: bytes, way: str, content: bytes, headers: dict[str, str]) -> None:
    """The host's router sees a separator and knows no such path, or the key is refused."""
    before = await api.stored()
    method, _, query = way.partition("?")
    answer = await api.ask(method, b"/books/" + key + b"?" + query.encode(), content, headers)
    assert answer.status_code in (307, 404, 405), answer.text
    assert await api.stored() == before


@pytest.mark.parametrize(
    "key", [".", "..", "...", "%2e%2e", "seed%20", "%20seed", "SEED", "seed;x=1", "$ne", "[$ne]", "%7B%22$ne%22:1%7D"]
)
async def test_another_key(api: Api, key: str) -> None:
    for method, content, headers in (("GET", b"", {}), ("PATCH", BODY, {"content-type": MERGE}), ("DELETE", b"", {})):
        await api.refuses(404, "NOT_FOUND", method, f"/books/{key}", content, headers)


@pytest.mark.parametrize("way", [b"GET", b"DELETE"])
@pytest.mark.parametrize(
    ("collection", "keys"),
    [
        (
            "notes",
            [
                "x",
                "1",
                "65a00000000000000000000",
                "65a0000000000000000000010",
                "65A00000000000000000000G",
                "null",
                "true",
            ],
        ),
        (
            "loans",
            ["x", "1", "6a1b2c3d00004000800000000000001", "6a1b2c3d-0000-4000-8000-00000000000g", "{6a1b2c3d}", "null"],
        ),
        (
            "seats",
            ["x", "1.0", "01", "+1", "-0", "1e3", " 1", "1_0", "%D9%A1", "9223372036854775808", "9" * 5000, "true"],
        ),
    ],
)
async def test_what_can_be_no_key(api: Api, collection: str, keys: list[str], way: bytes) -> None:
    singular = collection.removesuffix("s")
    for key in keys:
        target = f"/{collection}/{quote(key, safe='%')}"
        if collection == "seats":
            await api.refuses(422, "INVALID", "GET", target, locs=[("path", singular)])
            continue
        headers = {"if-match": "*"}
        await api.refuses(422, "INVALID", way.decode(), target, b"", headers, locs=[("path", singular)])


@pytest.mark.parametrize(
    "key", ["ü", "日本", "a b", "a%b", "a?b", "a#b", "a&b=c", 'a"b', "a\\b", "\U0001f600", "x:y", "%41"]
)
async def test_a_strange_key_is_found(api: Api, key: str) -> None:
    path = f"/books/{quote(key, safe='')}"
    created = await api.ask("PUT", f"{path}?allow_missing=true", BODY, {"content-type": JSON})
    assert created.status_code == 201, created.text
    assert created.json()["isbn"] == key
    found = await api.ask("GET", created.headers["location"])
    assert found.content == created.content
    assert (await api.ask("GET", path)).content == created.content
    assert (await api.ask("DELETE", path)).status_code == 204
    posted = await api.ask(
        "POST", "/books", f'{{"isbn": {quote_json(key)}, "title": "T"}}'.encode(), {"content-type": JSON}
    )
    assert (await api.ask("GET", posted.headers["location"])).content == posted.content
    await api.refuses(404, "NOT_FOUND", "DELETE", f"{path}x")


def quote_json(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


ONE, ALL = "GET, HEAD, PUT, PATCH, DELETE", "GET, HEAD, POST"
OTHERS = ["OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "Get", "PURGE", "X" * 100]


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/books", ALL), ("/books/seed", ONE), ("/books/missing", ONE), ("/seats", ALL), ("/seats/1", "GET, HEAD, PUT")],
)
async def test_methods_that_are_not_offered(api: Api, path: str, allowed: str) -> None:
    expected = set(allowed.split(", "))
    for method in [*OTHERS, *({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} - expected)]:
        answer = await api.refuses(405, "METHOD_NOT_ALLOWED", method, path, BODY, {"content-type": JSON})
        assert set(answer.headers["allow"].split(", ")) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"x-http-method-override": "DELETE"},
        {"x-method-override": "DELETE"},
        {"x-http-method": "DELETE"},
        {"x-original-url": "/books/seed", "x-rewrite-url": "/books/seed"},
    ],
)
async def test_overridden_methods_are_ignored(api: Api, headers: dict[str, str]) -> None:
    before = await api.stored()
    assert (await api.ask("GET", "/books/seed", b"", headers)).status_code == 200
    for name in ("_method=DELETE", "method=DELETE"):
        await api.refuses(422, "INVALID", "GET", f"/books/seed?{name}", b"", headers)
    await api.refuses(405, "METHOD_NOT_ALLOWED", "POST", "/books/seed", BODY, {"content-type": JSON, **headers})
    assert await api.stored() == before


@pytest.mark.parametrize(
    "target",
    [
        "/books/seed",
        "/books",
        "/books?sort=-title&include=etag",
        "/books/missing",
        "/books?x=1",
        "/notes/x",
        "/books/seed?fields=title",
    ],
)
async def test_head_is_get_without_the_body(api: Api, target: str) -> None:
    got, head = await api.ask("GET", target), await api.ask("HEAD", target)
    assert head.status_code == got.status_code
    assert dict(head.headers) == dict(got.headers)
    assert head.headers["content-length"] == str(len(got.content))


async def test_head_with_conditions(api: Api) -> None:
    etag = (await api.ask("HEAD", "/books/seed")).headers["etag"]
    unchanged = await api.ask("HEAD", "/books/seed", b"", {"if-none-match": etag})
    assert (unchanged.status_code, unchanged.headers["etag"]) == (304, etag)
    assert (await api.ask("HEAD", "/books/seed", b"", {"if-match": '"x"'})).status_code == 412


@pytest.mark.parametrize("path", ["/books/", "/books/seed/"])
async def test_a_trailing_slash(api: Api, path: str) -> None:
    """The host's own answer: it redirects without a change of method, or knows no such path."""
    before = await api.stored()
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = await api.ask(method, path, BODY, {"content-type": JSON})
        assert (answer.status_code, answer.headers["location"]) == (307, f"http://test{path[:-1]}")
    assert await api.stored() == before


@pytest.mark.parametrize(
    "path", ["/book", "/books/seed/title", "/books/seed/title/x", "//books", "/BOOKS", "/books//seed", "/books%0a", "/"]
)
async def test_an_unknown_path(api: Api, path: str) -> None:
    before = await api.stored()
    for method in ("GET", "PUT", "DELETE"):
        assert (await api.ask(method, path, BODY, {"content-type": JSON})).status_code in (404, 405)
    assert await api.stored() == before


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "a\\n", "a\\u0000"])
async def test_a_new_document_can_be_asked_for(api: Api, key: str) -> None:
    """A key that no path can carry is refused: the document could never be read, changed or deleted."""
    body = f'{{"isbn": "{key}", "title": "T"}}'.encode()
    await api.refuses(422, "INVALID", "POST", "/books", body, {"content-type": JSON}, pointers=["/isbn"])
