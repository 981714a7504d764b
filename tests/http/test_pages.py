"""Pages: followed to the end by their links, and tokens that are not of this request."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from regesta.store import collection_of

from .asking import Api
from .library import Book, Note

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 500
NEXT = re.compile(r'<([^<>" ]+)>; rel="next"\Z')


@pytest_asyncio.fixture(loop_scope="session")
async def shelves(api: Api) -> Api:
    """500 books, with ties and nulls in what they can be sorted by, and notes beside them."""
    books: list[dict[str, Any]] = [
        {
            "isbn": f"b{n:03}",
            "title": f"<ü&{n % 7}>",
            "year": 1990 + n % 30,
            "rating": None if n % 3 else n % 11 / 2,
            "tags": [],
            "secret": "hush",
            "added_at": datetime(2024, 1, 1, tzinfo=UTC),
        }
        for n in range(COUNT - 1)
    ]
    await collection_of(Book).insert_many(books)
    await collection_of(Note).insert_many([{"text": f"t{n}"} for n in range(5)])
    return api


async def pages(api: Api, target: str) -> AsyncIterator[httpx.Response]:
    while target:
        answer = await api.ask("GET", target)
        assert answer.status_code == 200, answer.text
        yield answer
        link, token = answer.headers.get("link", ""), answer.json().get("next_page_token")
        if not token:
            assert not link
            return
        match = NEXT.fullmatch(link)
        assert match, link
        target = match[1]
        assert f"page_token={token}" in target


@pytest.mark.parametrize(
    "sort",
    [
        *(f"{sign}{name}" for name in ("isbn", "title", "year", "rating", "published", "id") for sign in ("", "-")),
        *("", "year,-title", "-rating,year,-isbn", "published,rating"),
    ],
)
@pytest.mark.parametrize("size", [37, 500])
async def test_every_row_once_and_in_order(shelves: Api, sort: str, size: int) -> None:
    seen: list[dict[str, Any]] = []
    async for page in pages(shelves, f"/books?page_size={size}" + (f"&sort={sort}" if sort else "")):
        assert len(page.json()["items"]) <= size
        seen += page.json()["items"]
    assert len({item["isbn"] for item in seen}) == len(seen) == COUNT
    head = (sort or "isbn").split(",")[0]
    keys = [(item[head.lstrip("-")] is not None, item[head.lstrip("-")]) for item in seen]
    values = [key if key[0] else (False, 0) for key in keys]
    if head.lstrip("-") != "title":  # whose order is MongoDB's, of bytes, as Python's is here
        assert values == sorted(values, reverse=head.startswith("-"))


@pytest.mark.parametrize(
    "query", ["title=%3C%C3%BC%260%3E", "title__prefix=%3c%c3%bc%26", "year__in=1990&year__in=1991&fields=title"]
)
async def test_a_link_keeps_the_query(shelves: Api, query: str) -> None:
    expected = len((await shelves.ask("GET", f"/books?{query}&page_size=1000")).json()["items"])
    assert expected > 10
    found = [len(page.json()["items"]) async for page in pages(shelves, f"/books?page_size=7&{query}&include=etag")]
    assert sum(found) == expected


async def test_a_raw_query_makes_a_link_too(shelves: Api) -> None:
    first = await shelves.ask("GET", "/books?page_size=3&title=<ü%260>".encode())
    match = NEXT.fullmatch(first.headers["link"])
    assert match
    second = await shelves.ask("GET", match[1])
    assert len(second.json()["items"]) == 3
    again = NEXT.fullmatch((await shelves.ask("GET", match[1].replace("page_token", "p%61ge_token"))).headers["link"])
    assert again
    assert (await shelves.ask("GET", again[1])).status_code == 200


async def token_of(api: Api, target: str) -> str:
    token: str = (await api.ask("GET", target)).json()["next_page_token"]
    assert token
    return token


async def refused(api: Api, target: str) -> None:
    answer = await api.refuses(400, "INVALID_PAGE_TOKEN", "GET", target, locs=[])
    assert "b00" not in answer.text


async def test_a_tampered_token(shelves: Api) -> None:
    token = await token_of(shelves, "/books?page_size=3")
    for position, character in enumerate(token):
        for other in {"A", "z", "0", "-", "."} - {character}:
            # The last character of a part has bits that stand for nothing: it is told apart below.
            if position + 1 == len(token) or token[position + 1] == ".":
                continue
            await_target = f"/books?page_size=3&page_token={token[:position]}{other}{token[position + 1 :]}"
            answer = await shelves.ask("GET", await_target)
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PAGE_TOKEN"), position
    for position in range(1, len(token)):
        cut = await shelves.ask("GET", f"/books?page_size=3&page_token={token[:position]}")
        assert (cut.status_code, cut.json()["code"]) == (400, "INVALID_PAGE_TOKEN"), position
        gone = await shelves.ask("GET", f"/books?page_size=3&page_token={token[:position]}{token[position + 1 :]}")
        assert gone.status_code == 400, position
        more = await shelves.ask("GET", f"/books?page_size=3&page_token={token[:position]}A{token[position:]}")
        assert more.status_code == 400, position


async def test_a_token_with_another_end_says_nothing_else(shelves: Api) -> None:
    """Base64's spare bits may differ; what is signed may not."""
    token = await token_of(shelves, "/books?page_size=3")
    expected = (await shelves.ask("GET", f"/books?page_size=3&page_token={token}")).json()["items"]
    ends = [index for index in range(len(token)) if index + 1 == len(token) or token[index + 1] == "."]
    for index in ends:
        for other in "ABCDwxyz0189_-":
            answer = await shelves.ask(
                "GET", f"/books?page_size=3&page_token={token[:index]}{other}{token[index + 1 :]}"
            )
            assert answer.status_code == 400 or answer.json()["items"] == expected


@pytest.mark.parametrize(
    "token", ["", "x", ".", "..", "a.b.c", "%00", "e30.e30.e30", "null", "0", "A" * 5000, "..%2f", "%C3%BC.a.b", "'"]
)
async def test_a_made_up_token(shelves: Api, token: str) -> None:
    answer = await shelves.ask("GET", f"/books?page_token={token}")
    assert (answer.status_code, answer.json()["code"]) in ((400, "INVALID_PAGE_TOKEN"), (422, "INVALID"))
    await shelves.refuses(answer.status_code, answer.json()["code"], "GET", f"/books?page_token={token}")


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/books?sort=-isbn",
            "/books?sort=year",
            "/books?sort=year,isbn",
            "/books?year=1990",
            "/books?year__gt=1989",
            "/books?isbn__in=b1",
        ),
        *("/notes?page_size=3", "/cards?page_size=3", "/seats?page_size=3"),
    ],
)
async def test_a_foreign_token(shelves: Api, target: str) -> None:
    token = await token_of(shelves, "/books?page_size=3")
    await refused(shelves, f"{target}&page_token={token}")


async def test_a_token_of_another_filter_or_sort(shelves: Api) -> None:
    for target in ("/books?page_size=3&sort=-year", "/books?page_size=3&title__prefix=%3C"):
        token = await token_of(shelves, target)
        await refused(shelves, f"/books?page_size=3&page_token={token}")
        assert (await shelves.ask("GET", f"{target}&page_token={token}")).status_code == 200
    note = await token_of(shelves, "/notes?page_size=3")
    await refused(shelves, f"/books?page_token={note}")


async def test_a_token_may_change_its_page_size(shelves: Api) -> None:
    token = await token_of(shelves, "/books?page_size=3&sort=isbn")
    for query in ("page_size=5&sort=isbn", "page_size=1&sort=isbn&fields=title", "include=etag&sort=isbn"):
        answer = await shelves.ask("GET", f"/books?{query}&page_token={token}")
        assert answer.json()["items"][0]["isbn"] == "b003"


async def test_an_expired_token(shelves: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await token_of(shelves, "/books?page_size=3")
    monkeypatch.setattr("regesta.query.paging.LIFETIME", timedelta(seconds=-1))
    await refused(shelves, f"/books?page_size=3&page_token={token}")


@pytest.mark.parametrize(
    ("asked", "given"),
    [("1", 1), ("50", 50), ("500", 500), ("1000", 500), ("1001", 500), ("9" * 4000, 500), ("0003", 3)],
)
async def test_page_size(shelves: Api, asked: str, given: int) -> None:
    answer = await shelves.ask("GET", f"/books?page_size={asked}")
    assert len(answer.json()["items"]) == given
    assert ("next_page_token" in answer.json()) is (given < COUNT)


async def test_counts(shelves: Api) -> None:
    assert "total" not in (await shelves.ask("GET", "/books")).json()
    assert len((await shelves.ask("GET", "/books")).json()["items"]) == 50
    for kind in ("exact", "estimated"):
        headers = {"prefer": f"count={kind}"}
        assert (await shelves.ask("GET", "/books?page_size=3", b"", headers)).json()["total"] == COUNT
        assert (await shelves.ask("GET", "/books?page_size=3&year=1990", b"", headers)).json()["total"] == 17
