"""Many documents in one request, one result for each line."""

import json
from collections.abc import Iterable
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from beanie import Document, Indexed
from fastapi import Depends, FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from tests.eventually import eventually_async
from tests.resources.serving import Client, served

from regesta import Change, Hooks, Immutable, Invalid, Operation, Parent, ReadOnly, Resource, crud_router, hookimpl
from regesta.audit import AuditTrail
from regesta.change import Access, AuditEvent
from regesta.errors import Forbidden
from regesta.http import outbox, streams
from regesta.http.imports import CHUNK, OnConflict
from regesta.http.lines import Line, Lines
from regesta.store import collection_of

from .exchange import Exchange

PIECES = [
    b"\n",
    b"\r\n",
    b" ",
    b'{"isbn": "1", "title": "x"}',
    b'{"isbn":',
    b"null",
    b"[1]",
    b'"1"',
    b'{"isbn": 1}',
    b"x" * 62,
]

NDJSON = {"content-type": "application/x-ndjson"}


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True), Immutable]
    title: str
    year: int = 2000
    stock: Annotated[int, ReadOnly] = 0

    class Settings:
        name = "books"


def ndjson(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def books(numbers: Iterable[int], **fields: Any) -> bytes:
    return ndjson(*({"isbn": str(number), "title": f"t{number}", **fields} for number in numbers))


async def sent(client: Client, url: str, body: bytes) -> tuple[list[dict[str, Any]], dict[str, int]]:
    answer = await client.post(url, content=body, headers=NDJSON)
    return results(answer.status_code, answer.headers["content-type"], answer.content)


def results(status: int, media_type: str, content: bytes) -> tuple[list[dict[str, Any]], dict[str, int]]:
    assert (status, media_type) == (200, "application/x-ndjson"), content
    assert content.endswith(b"\n")
    *found, summary = map(json.loads, content.splitlines())
    return found, summary["summary"]


def statuses(found: list[dict[str, Any]]) -> dict[int, int]:
    return {result["line"]: result["status"] for result in found}


async def test_each_line_is_written_by_itself(any_database: Any) -> None:
    lines = [
        b'{"isbn": "1", "title": "one"}\r',
        b"",
        b'{"isbn": "1", "title": "again"}',
        b" \t\r",
        b'{"isbn": "2", "title": "two", "stock": 1, "$x": 1}',
        b'{"isbn": "3"}',
        b"{",
        b"[]",
        b'{"isbn": "4", "isbn": "5", "title": "x"}',
        b'{"isbn": "6", "title": "\xff"}',
        b'{"isbn": "7", "title": NaN}',
        b'{"isbn": "8/", "title": "x"}',
        b'{"isbn": "9", "title": "' + b"x" * 400 + b'"}',
        b'{"isbn": "last", "title": "without an end"}',
    ]
    async with served(any_database, Book, key="isbn", max_body_size=200) as client:
        found, summary = await sent(client, "/books", b"\n".join(lines))
        assert statuses(found) == {
            1: 201,
            3: 409,
            5: 422,
            6: 422,
            7: 400,
            8: 422,
            9: 400,
            10: 400,
            11: 400,
            12: 422,
            13: 413,
            14: 201,
        }
        assert summary == {"created": 2, "replaced": 0, "skipped": 0, "failed": 10}
        assert found[0].keys() == {"line", "status", "key", "etag"}
        assert found[1]["problem"]["code"] == "DUPLICATE"
        assert found[1]["problem"]["instance"] == "/books"
        assert {error["pointer"] for error in found[2]["problem"]["errors"]} >= {"/$x"}
        for result in (found[0], found[-1]):
            one = await client.get(f"/books/{result['key']}")
            assert one.headers["etag"] == result["etag"]
        assert await collection_of(Book).count_documents({}) == 2


@pytest.mark.parametrize("media_type", ["application/ndjson", "Application/X-NDJSON; charset=utf-8"])
async def test_media_types_of_imports(media_type: str, any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        answer = await client.post("/books", content=books([1]), headers={"content-type": media_type})
        assert statuses(results(answer.status_code, answer.headers["content-type"], answer.content)[0]) == {1: 201}


async def test_what_is_wrong_with_the_whole_is_answered_before_anything_is_read(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        for status, query, headers in (
            (422, "?on_conflict=update", {}),
            (422, "?page_size=1", {}),
            (415, "", {"content-type": "application/x-ndjson; charset=latin-1"}),
            (415, "", {"content-encoding": "gzip"}),
            (415, "", {"content-type": "text/x-ndjsons"}),
            (412, "", {"if-match": '"a"'}),
            (422, "?on_conflict=skip", {"content-type": "application/json"}),
        ):
            answer = await client.post(f"/books{query}", content=books([1]), headers={**NDJSON, **headers})
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        found, summary = await sent(client, "/books", b"\n\n")
        assert (found, set(summary.values())) == ([], {0})


async def test_what_is_there_already(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        await sent(client, "/books", books([1, 2], year=1990))
        found, summary = await sent(client, "/books?on_conflict=skip", books([2, 3]))
        assert found[0] == {"line": 1, "status": 200, "skipped": True, "key": "2"}
        assert summary == {"created": 1, "replaced": 0, "skipped": 1, "failed": 0}
        assert (await client.get("/books/2")).json()["year"] == 1990
        body = books([2, 4]) + ndjson({"isbn": "1", "title": "bad", "year": "x"}, {"title": "no key"})
        found, summary = await sent(client, "/books?on_conflict=replace", body)
        assert statuses(found) == {1: 200, 2: 201, 3: 422, 4: 422}
        assert summary == {"created": 1, "replaced": 1, "skipped": 0, "failed": 2}
        replaced = await client.get("/books/2")
        assert (replaced.json()["year"], replaced.headers["etag"]) == (2000, found[0]["etag"])


class Typed(Document):
    key: Annotated[UUID | int, Indexed(unique=True)] = Field(default_factory=uuid4)
    text: str


async def test_keys_that_are_no_texts_lead_to_what_they_replace(any_database: Any) -> None:
    async with served(any_database, Resource(Typed, name="typed", key="key")) as client:
        given = "0b8b0dbf-6bd0-4a0b-a6a4-9a2b8c3f4e5d"
        lines = ndjson({"key": given, "text": "a"}, {"key": given.upper(), "text": "b"}, {"text": "c"}) + ndjson(
            {"key": 7, "text": "d"}, {"key": 7, "text": "e"}, {"key": 7.5, "text": "f"}
        )
        found, summary = await sent(client, "/typed?on_conflict=replace", lines)
        assert summary == {"created": 3, "replaced": 2, "skipped": 0, "failed": 1}, found
        assert (found[1]["key"], found[4]["key"]) == (given, "7")


def needed() -> None:
    """A dependency."""


def also_needed() -> None:
    """Another one."""


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        ({"key": "isbn"}, True),
        ({}, False),  # the server makes the key
        ({"key": "isbn", "operations": ["create", "import"]}, False),
        ({"key": "isbn", "require_if_match": True}, False),
        ({"key": "isbn", "operation_dependencies": {"replace": [Depends(needed)]}}, False),
        (
            {"key": "isbn", "operation_dependencies": {name: [Depends(needed)] for name in ("create", "replace")}},
            True,
        ),
        ({"key": "isbn", "dependencies": [Depends(needed)], "operation_dependencies": {"create": []}}, True),
    ],
)
async def test_replacing_is_offered_to_who_may_replace(options: Any, offered: bool, any_database: Any) -> None:
    async with served(any_database, Book, **options) as client:
        answer = await client.post("/books?on_conflict=replace", content=books([1]), headers=NDJSON)
        assert answer.status_code == (200 if offered else 422), answer.text
        assert (await sent(client, "/books", books([2])))[1]["created"] == 1
    app = FastAPI()
    app.include_router(crud_router(Book, **options))
    post = app.openapi()["paths"]["/books"]["post"]
    (told,) = (found for found in post["parameters"] if found["name"] == "on_conflict")
    assert ("replace" in told["schema"]["enum"]) is offered
    assert set(post["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    assert set(post["responses"]["200"]["content"]) == {"application/json", "application/x-ndjson"}


def refused() -> None:
    raise Forbidden("not for you")


async def test_what_creating_depends_on_imports_depend_on(any_database: Any) -> None:
    guarded = {"create": [Depends(refused)]}
    async with served(any_database, Book, key="isbn", operation_dependencies=guarded) as client:
        assert (await client.post("/books", content=books([1]), headers=NDJSON)).status_code == 403
    allowed = {"create": [Depends(needed)]}
    async with served(any_database, Book, key="isbn", operation_dependencies=allowed) as client:
        assert (await sent(client, "/books", books([1])))[1]["created"] == 1  # the long way, through FastAPI


async def test_it_can_be_left_out(any_database: Any) -> None:
    without = [operation for operation in Operation if operation is not Operation.IMPORT]
    async with served(any_database, Book, key="isbn", operations=without) as client:
        assert (await client.post("/books", content=books([1]), headers=NDJSON)).status_code == 415
        assert (await client.post("/books?on_conflict=fail", json={})).status_code == 422
    assert Operation.IMPORT not in Resource(Book, operations=["import", "replace"]).operations


class Rules:
    """Refuses some books and doors, and remembers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.events: list[AuditEvent] = []

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append((request.operation, request.key))
        if (request.operation, request.key) == ("replace", "secret"):
            raise Forbidden("not to be replaced")

    @hookimpl
    def validate_change(self, change: Change[Any]) -> None:
        if change.after and change.after.year == 1313:
            raise Invalid("year", "brings bad luck")

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        self.events.append(event)


async def test_hooks_see_each_line_as_they_see_single_writes(database: Any) -> None:
    rules = Rules()
    also = [AuditTrail.document]
    async with served(database, Book, key="isbn", hooks=Hooks(AuditTrail(), rules), also=also) as client:
        body = books([1]) + books([2], year=1313) + ndjson({"isbn": "secret", "title": "t"})
        found, _ = await sent(client, "/books", body)
        assert statuses(found) == {1: 201, 2: 422, 3: 201}
        assert rules.asked == [("import", None)]
        assert [(event.action, event.key) for event in rules.events] == [("create", "1"), ("create", "secret")]
        rules.asked.clear()
        found, _ = await sent(client, "/books?on_conflict=replace", body + books([1], year=1))
        assert statuses(found) == {1: 200, 2: 422, 3: 403, 4: 200}
        asked = ["1", "2", "secret", "1"]
        assert rules.asked == [("import", None), *(("replace", key) for key in asked)]
        trail = [(event["action"], event["key"]) async for event in collection_of(AuditTrail.document).find()]
        assert sorted(trail) == [("create", "1"), ("create", "secret"), ("update", "1")]


class Owned(Document):
    team: str = ""
    name: Annotated[str, Indexed(unique=True)]


def own_team() -> dict[str, str]:
    return {"team": "a"}


async def test_an_import_stays_in_its_scope(any_database: Any) -> None:
    async with served(any_database, Resource(Owned, name="owned", key="name", scope=own_team)) as client:
        await Owned(team="b", name="other").insert()
        lines = ndjson({"name": "mine"}, {"name": "x", "team": "b"}, {"name": "other"})
        for mode, expected in (("fail", {1: 201, 2: 422, 3: 409}), ("replace", {1: 200, 2: 422, 3: 409})):
            assert statuses((await sent(client, f"/owned?on_conflict={mode}", lines))[0]) == expected
        assert [one["team"] async for one in collection_of(Owned).find().sort("name", 1)] == ["a", "b"]


class Shelf(Document):
    name: Annotated[str, Indexed(unique=True)]


class Item(Document):
    shelf: Any = None
    number: int = 0
    title: str


async def test_imports_below_a_parent(any_database: Any) -> None:
    shelves = Resource(Shelf, name="shelves", key="name")
    items = Resource(Item, key="number", parent=Parent(resource=shelves, field="shelf", sequence="number"))
    async with served(any_database, shelves, items) as client:
        await sent(client, "/shelves", ndjson({"name": "a"}, {"name": "b"}))
        found, _ = await sent(client, "/shelves/b/items", ndjson({"title": "x"}, {"title": 1}, {"title": "y"}))
        assert [result.get("key") for result in found] == ["1", None, "2"]
        assert len((await client.get("/shelves/a/items")).json()["items"]) == 0
        missing = await client.post("/shelves/c/items", content=ndjson({"title": "x"}), headers=NDJSON)
        assert missing.status_code == 404


async def test_results_come_while_the_body_is_still_sent(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        exchange = Exchange(client, "POST", "/books", content_type="application/x-ndjson")
        task = exchange.begin()
        exchange.feed(books([1, 2]) + b'{"isbn": "3", ')
        await exchange.until_lines(2)
        assert not task.done()
        exchange.feed(b'"title": "three"}', last=True)
        await task
        assert exchange.whole
        found, summary = results(exchange.status, "application/x-ndjson", bytes(exchange.body))
        assert (statuses(found), summary["created"]) == ({1: 201, 2: 201, 3: 201}, 3)


async def test_who_goes_away_has_what_was_acknowledged_and_nothing_half(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        exchange = Exchange(client, "POST", "/books", content_type="application/x-ndjson")
        task = exchange.begin()
        exchange.feed(books([1, 2]) + b'{"isbn": "3", "title": "looks whole"}')
        await exchange.until_lines(2)
        exchange.leave()
        await task
        assert not exchange.whole
        assert b"summary" not in exchange.body
        assert sorted([one["isbn"] async for one in collection_of(Book).find()]) == ["1", "2"]


async def test_who_sends_all_before_reading_is_not_waited_for(
    memory_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IN_MEMORY", 1000)
    async with served(memory_database, Book, key="isbn") as client:
        exchange = Exchange(client, "POST", "/books", content_type="application/x-ndjson")
        exchange.reading.clear()
        task = exchange.begin()
        for start in range(0, 2 * CHUNK, 100):
            exchange.feed(books(range(start, start + 100)))
        exchange.feed(b"", last=True)
        await exchange.blocked.wait()

        async def all_written() -> bool:
            return bool(await collection_of(Book).count_documents({}) == 2 * CHUNK)

        await eventually_async(all_written)
        assert not exchange.body
        exchange.reading.set()
        await task
        found, summary = results(exchange.status, "application/x-ndjson", bytes(exchange.body))
        assert [result["line"] for result in found] == list(range(1, 2 * CHUNK + 1))
        assert summary["created"] == 2 * CHUNK


@pytest.mark.parametrize("full", [False, True])
async def test_who_never_reads_is_given_up(full: bool, memory_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STALLED", 0.1)
    if full:
        monkeypatch.setattr(outbox, "LARGEST", 0)
    async with served(memory_database, Book, key="isbn") as client:
        exchange = Exchange(client, "POST", "/books", content_type="application/x-ndjson")
        exchange.reading.clear()
        for number in range(3):
            exchange.feed(books([number]), last=number == 2 and not full)
        with pytest.raises(TimeoutError):
            await exchange.begin()
        assert not exchange.whole


def test_lines_are_split_wherever_the_pieces_end() -> None:
    text = b"a\r\nbb\n\n \r\ncccc\n" + b"d" * 9 + b"\ne\n" + b"f" * 9
    expected = [Line(1, b"a"), Line(2, b"bb"), Line(5, b"cccc"), Line(6, None), Line(7, b"e"), Line(8, None)]
    for size in range(1, len(text) + 1):
        lines = Lines(4)
        found = [line for at in range(0, len(text), size) for line in lines.feed(text[at : at + size])]
        assert [*found, *lines.rest()] == expected, size
    crlf = Lines(4)
    assert [*crlf.feed(b"1234\r\n12345\r\n1234"), *crlf.rest()] == [Line(1, b"1234"), Line(2, None), Line(3, b"1234")]


def test_a_line_without_end_is_not_kept() -> None:
    lines = Lines(1000)
    for _ in range(1000):
        assert list(lines.feed(b"x" * 1000)) == []
        assert len(lines._begun) <= 1001
    assert list(lines.feed(b"\nok\n")) == [Line(1, None), Line(2, b"ok")]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.lists(st.sampled_from(PIECES)).map(b"".join))
async def test_whatever_is_sent_each_line_has_its_result(body: bytes, memory_database: Any) -> None:
    async with served(memory_database, Book, key="isbn", max_body_size=60) as client:
        for mode in OnConflict:
            found, summary = await sent(client, f"/books?on_conflict={mode}", body)
            told = [
                number for number, line in enumerate(body.split(b"\n"), 1) if line.strip(b" \t\r") or len(line) > 61
            ]
            assert [result["line"] for result in found] == told
            assert sum(summary.values()) == len(told)
            assert {result["status"] for result in found} <= {200, 201, 400, 409, 413, 422}
