"""Query strings: nothing is ignored, and no value is anything but data."""

from urllib.parse import quote

import pytest

from regesta.query.parameters import MAX_BYTES, MAX_PARAMETERS

from .asking import MERGE, Api

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNKNOWN = [
    *("title[$ne]=x", "title[$gt]=", "title%5B%24ne%5D=x", "title.$ne=x", "$where=1", "%24where=1", "$or=1", "$expr=1"),
    *(
        "unknown=1",
        "Title=x",
        "title__regex=x",
        "title__ne__ne=x",
        "title__=x",
        "__proto__=1",
        "title__$ne=x",
        "=x",
        "x",
    ),
    *(
        "secret=hush",
        "secret__exists=true",
        "pin=hush",
        "pin__prefix=h",
        "revision_id=x",
        "_id=x",
        "added_at__gt=2020-01-01",
    ),
    *("meta.k=1", "author.age=3", "shelf=A", "author=n", "skip=10", "offset=10", "page=2", "limit=5", "pipeline=[]"),
    *("filters=year%3D1999", "expand=author", "validate_only=true", "title%00=x", "title =x", "title%20=x", "tïtle=x"),
]


@pytest.mark.parametrize("query", UNKNOWN)
async def test_an_unknown_parameter(api: Api, query: str) -> None:
    answer = await api.refuses(422, "INVALID", "GET", f"/books?{query}".encode())
    (issue,) = answer.json()["errors"]
    assert (issue["loc"][0], issue["type"]) == ("query", "unknown_parameter")
    assert "Seed" not in answer.text
    await api.refuses(422, "INVALID", "HEAD", f"/books?{query}".encode())


@pytest.mark.parametrize(
    ("method", "target", "content", "media"),
    [
        ("GET", "/books/seed", b"", ""),
        ("POST", "/books", b'{"isbn": "n", "title": "T"}', "application/json"),
        ("PUT", "/books/seed", b'{"title": "T"}', "application/json"),
        ("PATCH", "/books/seed", b'{"title": "T"}', MERGE),
        ("DELETE", "/books/seed", b"", ""),
    ],
)
@pytest.mark.parametrize(
    ("query", "loc"),
    [("x=1", "x"), ("title=x", "title"), ("page_size=1", "page_size"), ("validate_onyl=true", "validate_onyl")],
)
async def test_an_unknown_parameter_of_every_operation(
    api: Api, *, method: str, target: str, content: bytes, media: str, query: str, loc: str
) -> None:
    headers = {"content-type": media} if media else {}
    await api.refuses(422, "INVALID", method, f"{target}?{query}", content, headers, locs=[("query", loc)])


@pytest.mark.parametrize(
    "query",
    [
        *(
            "title=a&title=b",
            "title=a&title=a",
            "page_size=1&page_size=2",
            "sort=title&sort=year",
            "page_token=a&page_token=b",
        ),
        *("fields=title&fields=year", "year__gt=1&year__gt=2", "title=a&%74itle=b", "include=etag&include=etag"),
    ],
)
async def test_a_repeated_parameter(api: Api, query: str) -> None:
    answer = await api.refuses(422, "INVALID", "GET", f"/books?{query}")
    assert [issue["type"] for issue in answer.json()["errors"]] == ["repeated_parameter"]


@pytest.mark.parametrize(
    "query",
    [
        *(
            b"title=%ff",
            b"title=%",
            b"title=%4",
            b"title=%zz",
            b"%ff=1",
            b"title=%c3%28",
            b"title=%ed%a0%80",
            b"title=\xff",
        ),
        *(b"title=%c0%af", b"title=%e2%82", b"title=%u0041", b"page_token=%fe"),
    ],
)
async def test_broken_encoding(api: Api, query: bytes) -> None:
    await api.refuses(400, "MALFORMED", "GET", b"/books?" + query, locs=[])
    await api.refuses(400, "MALFORMED", "DELETE", b"/books/seed?" + query, locs=[])


WRONG = {
    "page_size": ["0", "-1", "1.5", "abc", "", "+1", "1e3", "0x10", " 1", "1 ", "१", "00", "1_0", "true", "NaN"],
    "year": [
        "abc",
        "",
        "1.0",
        "true",
        "9223372036854775808",
        "9" * 5000,
        "+1999",
        "1999 ",
        "0x7cf",
        "NaN",
        "{}",
        "$year",
    ],
    "year__in": ["x", "1999,2000"],
    "rating": ["NaN", "Infinity", "1e999", "abc", ".5", "1."],
    "published": ["yesterday", "2024-13-01T00:00:00Z", "2024-01-01", "1700000000", "10000-01-01T00:00:00Z"],
    "year__exists": ["1", "yes", "True", ""],
    "title": ["%00", "a%00b", "x" * 1001],
    "sort": [
        "secret",
        "-pin",
        "added_at",
        "meta",
        "unknown",
        "",
        "title,",
        "title,-title",
        "--title",
        "$natural",
        "tags",
    ],
    "fields": [
        "secret",
        "pin",
        "title,secret",
        "unknown",
        "",
        "title,",
        "$title",
        "revision_id",
        "_id",
        "meta.k",
        "tags.0",
    ],
    "include": ["", "secret", "etag,etag"],
}


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(name, value, id=f"{name}={value}"[:30]) for name in WRONG for value in WRONG[name]]
)
async def test_a_wrong_value(api: Api, name: str, value: str) -> None:
    target = f"/books?{name}={value if '%' in value else quote(value)}"
    await api.refuses(422, "INVALID", "GET", target, locs=[("query", name)])


async def test_a_secret_is_no_field_of_one_document_either(api: Api) -> None:
    await api.refuses(422, "INVALID", "GET", "/books/seed?fields=secret", locs=[("query", "fields")])


@pytest.mark.parametrize("value", ["$title", "$$ROOT", ".*", "^S", "{$ne:1}", '{"$ne":null}', "Seed' || '1", "[$ne]"])
async def test_a_value_is_only_data(api: Api, value: str) -> None:
    for parameter in ("title", "title__in", "title__prefix", "title__contains", "author.name", "tags"):
        answer = await api.ask("GET", f"/books?{parameter}={quote(value)}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"items": []}
    assert len((await api.ask("GET", f"/books?title__ne={quote(value)}")).json()["items"]) == 1


async def test_too_much(api: Api) -> None:
    await api.refuses(422, "INVALID", "GET", "/books?title=" + "x" * MAX_BYTES, locs=[("query",)])
    await api.refuses(
        422, "INVALID", "GET", "/books?" + "&".join(f"p{n}=1" for n in range(MAX_PARAMETERS + 1)), locs=[("query",)]
    )
    many = "&".join(f"title__in={n}" for n in range(101))
    await api.refuses(422, "INVALID", "GET", f"/books?{many}", locs=[("query", "title__in")])
    keys = "title,year,isbn,rating,published,id"
    await api.refuses(422, "INVALID", "GET", f"/books?sort={keys}", locs=[("query", "sort")])


async def test_everything_wrong_is_told_at_once(api: Api) -> None:
    target = "/books?page_size=0&sort=secret&title[$ne]=1&year=x&year__gt=1&year__gt=2"
    locs = [("query", name) for name in ("page_size", "sort", "title[$ne]", "year", "year__gt")]
    await api.refuses(422, "INVALID", "GET", target, locs=locs)


@pytest.mark.parametrize("query", ["", "?", "?&", "?&&"])
async def test_nothing_is_no_parameter(api: Api, query: str) -> None:
    assert (await api.ask("GET", f"/books{query}")).status_code == 200
