"""Everything that a list matches in one answer: NDJSON and CSV."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import httpx
import pytest
from beanie import Document, Indexed
from fastapi import FastAPI
from pydantic import BaseModel, Field, computed_field
from pymongo.errors import OperationFailure
from tests.eventually import eventually_async
from tests.resources.serving import Client, served

from regesta import Hooks, Operation, Parent, Resource, Schemas, Secret, WriteOnly, crud_router, hookimpl
from regesta.change import Access
from regesta.errors import DeclarationError, Forbidden, Unavailable
from regesta.http import csv_rows, exports, streams
from regesta.store import Batches, _batches, _rows, collection_of

from .exchange import Exchange

NDJSON, CSV = {"accept": "application/x-ndjson"}, {"accept": "text/csv"}


class Author(BaseModel):
    name: str
    born: int | None = None


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True)]
    title: str
    year: Annotated[int, Indexed()] = 2000
    price: Decimal | None = None
    authors: list[Author] = Field(default_factory=list)
    added_at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    password: Annotated[str, Secret] = "hidden"
    note: Annotated[str, WriteOnly] = "hidden"

    class Settings:
        name = "books"
        use_revision = True


async def many(count: int, document: type[Document] = Book) -> None:
    await document.insert_many([document(isbn=f"{number:05}", title=f"t{number}") for number in range(count)])


async def every_item(client: Client, url: str, **query: Any) -> list[Any]:
    items, token = [], None
    while token != "":
        page = (await client.get(url, params={**query, **({"page_token": token} if token else {})})).json()
        items += page["items"]
        token = page.get("next_page_token", "")
    return items


def lines(answer: httpx.Response) -> list[Any]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == "" or answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def table(answer: httpx.Response) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.content.decode(), newline=""), strict=True))


async def test_each_line_is_what_the_item_of_the_list_is(any_database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_batches, "BATCH", 100)
    monkeypatch.setattr(_rows, "DECODED_BYTES", 2000)
    monkeypatch.setattr(exports, "PIECE", 7)
    async with served(any_database, Book, key="isbn", max_page_size=100) as client:
        await many(333)
        for query in (
            {},
            {"sort": "-year,isbn", "year__gte": "2000"},
            {"filter": 'isbn < "00100"'},
            {"fields": "title"},
        ):
            answer = await client.get("/books", params=query, headers=NDJSON)
            assert lines(answer) == await every_item(client, "/books", page_size=100, **query)
        assert "hidden" not in (await client.get("/books", headers=NDJSON)).text
        nothing = await client.get("/books?isbn=none", headers=NDJSON)
        assert lines(nothing) == []


async def test_csv_has_the_columns_of_the_schema(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        book = Book(
            isbn="1", title='a "b", c\r\nd', year=-5, price=Decimal("-1.50"), authors=[Author(name="Ä", born=None)]
        )
        await book.insert()
        await Book(isbn="2", title="").insert()
        answer = await client.get("/books", headers=CSV)
        assert answer.headers["content-disposition"] == 'attachment; filename="books.csv"'
        assert answer.content.endswith(b"\r\n")
        header, first, second = table(answer)
        assert header == ["id", "isbn", "title", "year", "price", "authors", "added_at"]
        assert first == [
            *(str(book.id), "1", 'a "b", c\r\nd', "-5", "-1.50"),
            *('[{"name":"Ä","born":null}]', "2026-01-02T03:04:05Z"),
        ]
        assert (second[2], second[4]) == ("", "")
        assert answer.content.splitlines()[-1].split(b",")[2:5] == [b'""', b"2000", b""]  # empty is not null
        some = await client.get("/books?fields=year,authors.name,title", headers=CSV)
        assert table(some)[:2] == [["isbn", "year", "authors", "title"], ["1", "-5", '[{"name":"Ä"}]', first[2]]]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
async def test_no_cell_of_csv_is_a_formula(first: str, any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        await Book(isbn="1", title=f"{first}HYPERLINK(1)", year=-1).insert()
        _, row = table(await client.get("/books?fields=title,year", headers=CSV))
        assert row == ["1", f"'{first}HYPERLINK(1)", "-1"]


def test_what_a_cell_says() -> None:
    said = {None: "", True: "true", -1.5: "-1.5", 2**60: str(2**60), float("nan"): "", Decimal(-2): "-2"}
    assert [csv_rows.cell(value) for value in said] == list(said.values())
    assert csv_rows.cell(Decimal("-Infinity")) == '"\'-Infinity"'
    assert csv_rows.cell({"a": '"'}) == '"{""a"":""\\""""}"'
    assert csv_rows.header_of(["@type"]) == b'"\'@type"\r\n'


class Shape(Document):
    name: str

    class Settings:
        name = "shapes"
        is_root = True


class Circle(Shape):
    radius: float


class Square(Shape):
    side: float
    inner: dict[str, int] = Field(default_factory=dict)


async def test_rows_of_several_classes_have_the_columns_of_all(any_database: Any) -> None:
    async with served(any_database, Shape, key="name", also=[Circle, Square]) as client:
        await Circle(name="c", radius=-1.5).insert()
        await Square(name="s", side=2, inner={"=a": 1}).insert()
        found = table(await client.get("/shapes?fields=name", headers=CSV))
        assert found == [["name"], ["c"], ["s"]]
        header, circle, square = table(await client.get("/shapes", headers=CSV))
        assert header == ["id", "name", "radius", "side", "inner"]
        assert circle[2:] == ["-1.5", "", ""]
        assert square[2:] == ["", "2.0", '{"=a":1}']


class Shown(BaseModel):
    isbn: str
    title: str

    @computed_field
    def shout(self) -> str:
        return self.title.upper()


async def test_models_of_ones_own_are_what_is_exported(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn", schemas=Schemas(read=Shown)) as client:
        await many(120)
        found = lines(await client.get("/books", headers=NDJSON))
        assert found == await every_item(client, "/books", page_size=100)
        assert found[0] == {"isbn": "00000", "title": "t0", "shout": "T0"}
        assert table(await client.get("/books", headers=CSV))[0] == ["isbn", "title", "shout"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("text/*", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("application/x-ndjson;q=0.5, application/json", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("text/csv;q=2, application/json;q=0.1", "application/json"),
        ("text/csv;q=0.4, */*;q=0.5", "application/json"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("Application/NDJSON", "application/x-ndjson"),
        ("application/x-ndjson, */*", "application/x-ndjson"),
        ("text/csv;q=0.9, application/json;q=0.8", "text/csv"),
        ("text/csv; charset=utf-8; q=1.000, application/*;q=0.999", "text/csv"),
        ("application/x-ndjson;q=0.2, text/csv;q=0.3", "text/csv"),
    ],
)
async def test_the_form_is_what_the_client_prefers(accept: str, media_type: str, memory_database: Any) -> None:
    async with served(memory_database, Book, key="isbn") as client:
        answer = await client.get("/books", headers={"accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] == media_type


async def test_parameters_of_pages_are_refused(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        for query in ("page_size=1", "include=etag", "page_token=a.b.c", "page%5Fsize=1"):
            for headers in (NDJSON, CSV):
                answer = await client.get(f"/books?{query}", headers=headers)
                assert answer.status_code == 422
                assert answer.json()["errors"][0]["type"] == "not_for_exports"
        wrong = await client.get("/books?$where=1", headers=CSV)
        assert (wrong.status_code, wrong.headers["content-type"]) == (422, "application/problem+json")


async def test_head_answers_headers_only(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        await many(3)
        answer = await client.head("/books", headers={**CSV, "if-none-match": "*"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
        assert (await client.head("/books?page_size=1", headers=CSV)).status_code == 422


class Note(Document):
    team: str
    text: str


def own_team() -> dict[str, str]:
    return {"team": "a"}


async def test_an_export_ends_where_the_scope_does(any_database: Any) -> None:
    async with served(any_database, Note, scope=own_team) as client:
        await Note.insert_many([Note(team=team, text=team) for team in "aabb"])
        assert [note["text"] for note in lines(await client.get("/notes", headers=NDJSON))] == ["a", "a"]


class Doors:
    """Lets nobody export what is closed, and hides what is not published."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append(request.operation)
        if request.operation == "export" and request.resource == "closed":
            raise Forbidden("not for export")

    @hookimpl
    def scope_query(self, request: Access) -> dict[str, Any]:
        return {"year": 2000}


async def test_hooks_are_asked_whether_an_export_is_allowed(any_database: Any) -> None:
    doors = Doors()
    closed = Resource(Book, name="closed", key="isbn")
    async with served(any_database, Resource(Book, key="isbn"), closed, hooks=Hooks(doors)) as client:
        await many(2)
        await Book(isbn="x", title="t", year=1999).insert()
        assert len(lines(await client.get("/books", headers=NDJSON))) == 2
        assert doors.asked == ["export"]
        for answer in (await client.get("/closed", headers=CSV), await client.head("/closed", headers=CSV)):
            assert answer.status_code == 403
        assert (await client.get("/closed")).status_code == 200


async def test_it_can_be_left_out(any_database: Any) -> None:
    without = [operation for operation in Operation if operation is not Operation.EXPORT]
    async with served(any_database, Book, key="isbn", operations=without) as client:
        answer = await client.get("/books?page_size=1", headers=NDJSON)
        assert answer.json()["items"] == []
    assert Operation.EXPORT not in Resource(Book, operations=["get", "export"]).operations
    refused: list[Any] = [{"operation_dependencies": {"export": []}}, {"operation_ids": {"import": "x"}}]
    for options in refused:
        with pytest.raises(DeclarationError, match="name that"):
            Resource(Book, **options)


class Shelf(Document):
    name: str


class Item(Document):
    shelf: Any = None
    number: int = 0
    title: str


async def test_what_is_nested_is_exported_by_its_parent(any_database: Any) -> None:
    shelves = Resource(Shelf, name="shelves", key="name")
    items = Resource(Item, key="number", parent=Parent(resource=shelves, field="shelf", sequence="number"))
    async with served(any_database, shelves, items) as client:
        for name in "ab":
            await client.post("/shelves", json={"name": name})
            for number in range(3):
                await client.post(f"/shelves/{name}/items", json={"title": f"{name}{number}"})
        found = lines(await client.get("/shelves/b/items", headers=NDJSON))
        assert [item["title"] for item in found] == ["b0", "b1", "b2"]
        for answer in (
            await client.get("/shelves/c/items", headers=CSV),
            await client.head("/shelves/c/items", headers=CSV),
        ):
            assert answer.status_code == 404


def test_openapi_tells_of_every_form() -> None:
    app = FastAPI()
    app.include_router(crud_router(Book, key="isbn"))
    told = app.openapi()["paths"]["/books"]["get"]["responses"]["200"]["content"]
    assert set(told) == {"application/json", "application/x-ndjson", "text/csv", "text/event-stream"}


# What is read is of one moment.


class Account(Document):
    """Money that is moved between accounts: at each moment, the sum is the same."""

    isbn: Annotated[int, Indexed(unique=True)]  # in the order of an index: all is not read at once, to be sorted
    title: str
    money: int = 100

    class Settings:
        name = "accounts"


ACCOUNTS = 400


async def moved_while_exporting(client: Client, monkeypatch: pytest.MonkeyPatch) -> int:
    """The sum that an export saw, while money went from accounts that it had not reached to those it had passed."""
    await Account.insert_many([Account(isbn=number, title="") for number in range(ACCOUNTS)])
    collection, read = collection_of(Account), Batches.next
    step = 0

    async def next_batch(self: Batches) -> Any:
        nonlocal step
        batch = await read(self)
        if 0 < step < ACCOUNTS // 2:
            # Between two batches, as other clients would at any time: from the far end to the near one.
            await collection.update_one({"isbn": ACCOUNTS - step}, {"$inc": {"money": -100}})
            await collection.update_one({"isbn": step}, {"$inc": {"money": 100}})
        step += 1
        return batch

    monkeypatch.setattr(_batches, "BATCH", 20)
    monkeypatch.setattr(Batches, "next", next_batch)
    found = lines(await client.get("/accounts?sort=isbn", headers=NDJSON))
    assert step > 10
    return sum(account["money"] for account in found)


async def test_writers_do_not_change_an_export_that_has_begun(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(database, Account, key="isbn") as client:
        assert await moved_while_exporting(client, monkeypatch) == 100 * ACCOUNTS


async def test_without_a_snapshot_they_would(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_batches, "ATTEMPTS", 0)
    async with served(database, Account, key="isbn") as client:
        assert await moved_while_exporting(client, monkeypatch) < 100 * ACCOUNTS


async def test_capped_collections_have_no_snapshots_and_are_exported(database: Any) -> None:
    await database.create_collection("books", capped=True, size=1_000_000)
    async with served(database, Book, key="isbn") as client:
        await many(3)
        assert len(lines(await client.get("/books", headers=NDJSON))) == 3


# What is broken off can be told from what is whole, and leaves nothing behind.


async def open_cursors(database: Any) -> int:
    """How many cursors the server has open on this database: other tests may have left some on theirs."""
    pipeline = [
        {"$currentOp": {"allUsers": True, "idleCursors": True}},
        {"$match": {"ns": {"$regex": f"^{database.name}\\."}, "cursor.cursorId": {"$exists": True}}},
        {"$group": {"_id": "$cursor.cursorId"}},
    ]
    found = database.client.admin.aggregate(pipeline)
    found = await found if asyncio.iscoroutine(found) else found
    return len(await found.to_list(None))


async def nothing_is_left(database: Any) -> None:
    async def closed() -> bool:
        return await open_cursors(database) == 0

    await eventually_async(closed)


async def test_a_past_that_is_kept_no_more_breaks_the_connection(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = database.client.admin
    window = await admin.command("getParameter", minSnapshotHistoryWindowInSeconds=1)
    monkeypatch.setattr(_batches, "BATCH", 10)
    async with served(database, Book, key="isbn") as client:
        await many(100)
        exchange = Exchange(client, "GET", "/books", accept="application/x-ndjson")
        exchange.feed(b"", last=True)
        read, count = Batches.next, 0

        async def next_batch(self: Batches) -> Any:
            nonlocal count
            count += 1
            if count == 3:
                await admin.command("setParameter", minSnapshotHistoryWindowInSeconds=0)
                await forgotten(database, self)
            return await read(self)

        monkeypatch.setattr(Batches, "next", next_batch)
        try:
            with pytest.raises(OperationFailure) as failure:
                await exchange.begin()
        finally:
            value = window["minSnapshotHistoryWindowInSeconds"]
            await admin.command("setParameter", minSnapshotHistoryWindowInSeconds=value)
        assert failure.value.code == 239
        assert exchange.body.count(b"\n") == 20
        assert not exchange.whole
        await nothing_is_left(database)


async def forgotten(database: Any, batches: Batches) -> None:
    """Write until the server keeps nothing of the moment that is read."""

    async def too_old() -> bool:
        await database["other"].insert_one({})
        try:
            await database["books"].find_one({}, session=batches._session)
        except OperationFailure as error:
            return error.code == 239
        return False

    await eventually_async(too_old)


async def test_a_cut_connection_leaves_no_cursor(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_batches, "BATCH", 10)
    async with served(database, Book, key="isbn") as client:
        await many(1000)
        exchange = Exchange(client, "GET", "/books", accept="application/x-ndjson")
        exchange.feed(b"", last=True)
        task = exchange.begin()
        await exchange.until_lines(10)
        assert await open_cursors(database) == 1
        exchange.leave()
        await task
        assert exchange.body.count(b"\n") < 1000
        assert not exchange.whole
        await nothing_is_left(database)


@pytest.mark.parametrize("how", ["stalled", "cancelled"])
async def test_who_does_not_read_holds_no_cursor_for_ever(
    how: str, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_batches, "BATCH", 10)
    if how == "stalled":
        monkeypatch.setattr(streams, "STALLED", 0.2)
    async with served(database, Book, key="isbn") as client:
        await many(1000)
        exchange = Exchange(client, "GET", "/books", accept="text/csv")
        exchange.feed(b"", last=True)
        task = exchange.begin()
        await exchange.until_lines(11)
        exchange.reading.clear()
        await exchange.blocked.wait()
        assert await open_cursors(database) == 1
        if how == "cancelled":
            task.cancel()
        with pytest.raises(TimeoutError if how == "stalled" else asyncio.CancelledError):
            await task
        await nothing_is_left(database)


async def test_a_database_that_is_late_is_a_problem_before_the_first_batch(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(database, Book, key="isbn", timeout=0.2) as client:
        await many(100)

        async def late(self: Batches) -> None:
            await asyncio.Event().wait()

        opened = Batches.open
        monkeypatch.setattr(Batches, "open", late)
        answer = await client.get("/books", headers=NDJSON)
        assert (answer.status_code, answer.json()["code"]) == (503, "TIMEOUT")
        monkeypatch.setattr(Batches, "open", opened)
        monkeypatch.setattr(Batches, "next", late)
        with pytest.raises(Unavailable):
            await client.get("/books", headers=NDJSON)
        await nothing_is_left(database)


async def test_caches_are_told_that_there_are_several_forms(any_database: Any) -> None:
    async with served(any_database, Book, key="isbn") as client:
        await client.post("/books", json={"isbn": "1", "title": "Emma"})
        for path in ("/books", "/books/1"):
            assert (await client.get(path)).headers["vary"] == "Accept"
        assert (await client.get("/books", headers=NDJSON)).headers["vary"] == "Accept"
