"""Conditional requests (RFC 9110, 13)."""

import asyncio

import httpx
import pytest

from .asking import JSON, MERGE, PATCH, Api, Headers

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER = '"6a1b2c3d00004000800000000000ffff"'
WRITES = ["PUT", "PATCH", "DELETE"]

MALFORMED = [
    *(
        "x",
        "",
        " ",
        "abc, def",
        '"',
        '"a',
        'a"',
        "'a'",
        "W/",
        "W/a",
        'w/"a"',
        '"a" "b"',
        '"a"b',
        '"a" ; "b"',
        '*, "a"',
        '"a", *',
    ),
    *(
        "**",
        "* *",
        '"a b"',
        '"a\tb"',
        '"a""b"',
        '"a"\n',
        "\xff",
        '"a\x7f"',
        ",",
        ";",
        'W/ "a"',
        '{"$ne": ""}',
        '"a",b,"c"',
    ),
]


def conditional(method: str, headers: Headers) -> tuple[str, str, bytes, list[tuple[str | bytes, str | bytes]]]:
    """A request that would succeed without the condition."""
    pairs: list[tuple[str | bytes, str | bytes]] = list(headers.items() if not isinstance(headers, list) else headers)  # type: ignore[union-attr]
    if method == "PUT":
        return method, "/books/seed", b'{"title": "T"}', [("content-type", JSON), *pairs]
    if method == "PATCH":
        return method, "/books/seed", b'{"title": "T"}', [("content-type", MERGE), *pairs]
    return method, "/books/seed", b"", pairs


async def etag_of(api: Api, target: str = "/books/seed") -> str:
    etag: str = (await api.ask("GET", target)).headers["etag"]
    assert etag.startswith('"')
    return etag


def succeeded(answer: httpx.Response) -> bool:
    return answer.status_code in (200, 201, 204)


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("value", MALFORMED)
async def test_malformed(api: Api, method: str, header: str, value: str) -> None:
    await api.refuses(400, "INVALID_ETAG", *conditional(method, {header: value}))


@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_if_match_that_fails(api: Api, method: str) -> None:
    etag = await etag_of(api)
    stale = [
        *(
            [("if-match", OTHER)],
            [("if-match", f"W/{etag}")],
            [("if-match", '""')],
            [("if-match", '"*"')],
            [("if-match", 'W/"*"')],
        ),
        *(
            [("if-match", f'{OTHER}, "b", W/{etag}')],
            [("if-match", OTHER), ("if-match", '"b"')],
            [("if-match", f"W/{etag}, {OTHER}")],
        ),
        [("if-match", f'"W/{etag[1:]}')],
        [("if-match", etag.upper() if etag.upper() != etag else OTHER)],
    ]
    for headers in stale:
        await api.refuses(412, "PRECONDITION_FAILED", *conditional(method, headers))


@pytest.mark.parametrize("method", ["GET", *WRITES])
@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "*",
        " {} ",
        '{}, "b"',
        '"a" , {}',
        '"a",{},"b"',
        '"a,b", {}',
        'W/"a", {}',
        ", {},",
        '"a",,{}',
        "{0},{0}",
        " * ",
    ],
)
async def test_if_match_that_holds(api: Api, method: str, form: str) -> None:
    headers = {"if-match": form.format(await etag_of(api))}
    assert succeeded(await api.ask(*conditional(method, headers)))


@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_several_lines_are_one_list(api: Api, method: str) -> None:
    lines = [("if-match", OTHER), ("if-match", await etag_of(api))]
    assert succeeded(await api.ask(*conditional(method, lines)))


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_each_write_has_a_new_etag(api: Api, method: str) -> None:
    first = await etag_of(api)
    answer = await api.ask(*conditional(method, {"if-match": first}))
    assert answer.headers["etag"] == await etag_of(api) != first
    await api.refuses(412, "PRECONDITION_FAILED", *conditional(method, {"if-match": first}))
    await api.refuses(412, "PRECONDITION_FAILED", *conditional("DELETE", {"if-match": first}))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{}", "W/{}", "*", '"a", {}', 'W/"a", W/{}', '"a",,{}'])
async def test_not_modified(api: Api, method: str, form: str) -> None:
    etag = await etag_of(api)
    answer = await api.ask(method, "/books/seed", b"", {"if-none-match": form.format(etag)})
    assert (answer.status_code, answer.headers["etag"], answer.content) == (304, etag, b"")
    assert "content-type" not in answer.headers
    lines = [("if-none-match", OTHER), ("if-none-match", form.format(etag))]
    if form != "*":
        assert (await api.ask(method, "/books/seed?fields=title", b"", lines)).status_code == 304


@pytest.mark.parametrize("form", [OTHER, f"W/{OTHER}", '"a", "b"', '""', '"*"', 'W/"*"'])
async def test_modified(api: Api, form: str) -> None:
    assert (await api.ask("GET", "/books/seed", b"", {"if-none-match": form})).status_code == 200
    for method in WRITES[:2]:
        assert succeeded(await api.ask(*conditional(method, {"if-none-match": form})))


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("form", ["{}", "W/{}", "*", '"a", {}'])
async def test_if_none_match_of_a_write_that_fails(api: Api, method: str, form: str) -> None:
    etag = await etag_of(api)
    await api.refuses(412, "PRECONDITION_FAILED", *conditional(method, {"if-none-match": form.format(etag)}))
    both = {"if-match": etag, "if-none-match": form.format(etag)}
    await api.refuses(412, "PRECONDITION_FAILED", *conditional(method, both))


async def test_if_match_comes_before_if_none_match(api: Api) -> None:
    etag = await etag_of(api)
    await api.refuses(412, "PRECONDITION_FAILED", *conditional("GET", {"if-match": OTHER, "if-none-match": etag}))
    both = await api.ask("GET", "/books/seed", b"", {"if-match": etag, "if-none-match": etag})
    assert both.status_code == 304


async def test_create_only(api: Api) -> None:
    headers = {"content-type": JSON, "if-none-match": "*"}
    target = "/books/new?allow_missing=true"
    answer = await api.ask("PUT", target, b'{"title": "T"}', headers)
    assert (answer.status_code, answer.headers["location"]) == (201, "/books/new")
    await api.refuses(412, "PRECONDITION_FAILED", "PUT", target, b'{"title": "U"}', headers)
    await api.refuses(404, "NOT_FOUND", "PUT", "/books/other", b'{"title": "U"}', headers)


async def test_one_of_many_creates(api: Api) -> None:
    headers = {"content-type": JSON, "if-none-match": "*"}
    target = "/books/raced?allow_missing=true"
    answers = await asyncio.gather(*(api.ask("PUT", target, b'{"title": "T"}', headers) for _ in range(10)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {409, 412}


async def test_if_match_never_creates(api: Api) -> None:
    for value in ("*", OTHER):
        headers = {"content-type": JSON, "if-match": value}
        target = "/books/new?allow_missing=true"
        await api.refuses(412, "PRECONDITION_FAILED", "PUT", target, b'{"title": "T"}', headers)
        await api.refuses(412, "PRECONDITION_FAILED", "POST", "/books", b'{"isbn": "n", "title": "T"}', headers)


@pytest.mark.parametrize("value", ["*", OTHER])
@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
@pytest.mark.parametrize("method", ["GET", *WRITES])
async def test_what_is_missing_is_missing(api: Api, method: str, header: str, value: str) -> None:
    """RFC 9110, 13.2.1: a precondition says nothing where the answer would not be a success without it."""
    _, _, content, headers = conditional(method, {header: value})
    await api.refuses(404, "NOT_FOUND", method, "/books/missing", content, headers)


async def test_a_condition_holds_for_no_list(api: Api) -> None:
    answer = await api.ask("GET", "/books", b"", {"if-none-match": "*", "if-match": OTHER})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", WRITES)
async def test_a_resource_that_demands_if_match(api: Api, method: str) -> None:
    created = await api.send("POST", "/notes", b'{"text": "t"}')
    target = created.headers["location"]
    media = {"PUT": JSON, "PATCH": MERGE}.get(method)
    headers = {"content-type": media} if media else {}
    body = b'{"text": "u"}' if media else b""
    await api.refuses(428, "PRECONDITION_REQUIRED", method, target, body, headers)
    await api.refuses(412, "PRECONDITION_FAILED", method, target, body, {**headers, "if-match": OTHER})
    await api.refuses(412, "PRECONDITION_FAILED", method, target, body, {**headers, "if-none-match": "*"})
    missing = "/notes/65a000000000000000000001"
    await api.refuses(404, "NOT_FOUND", method, missing, body, {**headers, "if-match": OTHER})
    await api.refuses(428, "PRECONDITION_REQUIRED", method, missing, body, headers)
    assert succeeded(await api.ask(method, target, body, {**headers, "if-match": created.headers["etag"]}))


async def test_one_of_many_writers_wins(api: Api) -> None:
    for target, body in (
        ("/books/seed", "title"),
        ((await api.send("POST", "/notes", b'{"text": "t"}')).headers["location"], "text"),
    ):
        etag = await etag_of(api, target)
        writers = [api.send("PATCH", target, f'{{"{body}": "w{n}"}}', MERGE, **{"if-match": etag}) for n in range(10)]
        answers = await asyncio.gather(*writers)
        assert sorted(answer.status_code for answer in answers) == [200, *[412] * 9]
        patch = f'[{{"op": "replace", "path": "/{body}", "value": "x"}}]'
        stale = await api.send("PATCH", target, patch, PATCH, **{"if-match": etag})
        assert stale.status_code == 412
