"""Documents that somebody else wrote: incomplete, with more fields, with wrong types."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Self

import pytest
from beanie import Document, Indexed, Link
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, ObjectId, Regex, Timestamp
from pydantic import BaseModel, BeforeValidator, Field, computed_field, model_validator

from regesta import Secret
from regesta.store import collection_of

from .serving import pointers, served


class Inner(BaseModel):
    size: int
    unit: str = "cm"


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True)]
    title: str
    year: int = 2000
    price: Decimal = Decimal(1)
    inner: Inner | None = None
    many: list[Inner] = []
    tags: set[str] = set()
    when: datetime | None = None
    raw: bytes | None = None
    author: Link["Book"] | None = None
    authors: list[Link["Book"]] = []
    secret: Annotated[str, Secret] = "s"

    class Settings:
        name = "books"


class Revised(Book):
    class Settings:
        name = "books"
        use_revision = True


class Computed(Book):
    @computed_field
    def loud(self) -> str:
        return self.title.upper()

    class Settings:
        name = "books"


DOCUMENTS: list[type[Document]] = [Book, Revised, Computed]
GOOD = {"isbn": "x", "title": "t"}
WRONG: list[Any] = [
    *("text", 5, 1.5, float("nan"), True, None, [], {}, [None], {"a": {"b": [1]}}, [[{}]], b"\xff\xfe", ObjectId()),
    *(Decimal128("NaN"), Decimal128("1.5"), Regex("a"), Timestamp(1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
    *(DBRef("books", 1), DBRef("books", {"a": 1}), Code("x"), MaxKey(), Binary(b"ab", 3), Binary(b"0" * 16, 4)),
    *(Int64(2**62), [{"size": "x"}]),
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_missing_fields_read_as_their_defaults(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="books", key="isbn") as client:
        await collection_of(document).insert_one(dict(GOOD))
        first = await client.get("/books/x")
        shown = first.json()
        assert shown["year"] == 2000
        assert shown["many"] == []
        assert "secret" not in shown
        assert (await client.get("/books")).json()["items"] == [shown]
        assert (await client.get("/books/x")).headers["etag"] == first.headers["etag"]
        changed = await client.merge("/books/x", {"year": 1999}, **{"if-match": first.headers["etag"]})
        assert changed.status_code == 200, changed.text
        assert changed.json() == {**shown, "year": 1999}
        stored = await collection_of(document).find_one({})
        assert {name: stored[name] for name in stored if name not in ("_id", "revision_id")} == {**GOOD, "year": 1999}


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_a_missing_required_field_is_left_out_and_asked_for(any_database: Any, document: type[Document]) -> None:
    async with served(any_database, document, name="books", key="isbn") as client:
        await collection_of(document).insert_one({"isbn": "x", "year": 1})
        shown = await client.get("/books/x")
        assert shown.status_code == 200
        assert "title" not in shown.json() or shown.json()["title"] is None
        assert pointers(await client.merge("/books/x", {"year": 2})) == {"/title"}
        assert (await client.merge("/books/x", {"title": "t"})).json()["title"] == "t"


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_unknown_fields_are_never_shown_and_never_lost(any_database: Any, document: type[Document]) -> None:
    more = {"__v": 3, "more": {"a": [1]}, "inner": {"size": 1, "colour": "red"}, "Title": "T"}
    async with served(any_database, document, name="books", key="isbn") as client:
        await collection_of(document).insert_one({**GOOD, **more})
        shown = (await client.get("/books/x")).json()
        assert not shown.keys() & {"__v", "more", "Title", "_id", "revision_id"}
        assert shown["inner"] == {"size": 1, "unit": "cm"}
        assert (await client.merge("/books/x", {"year": 1, "inner": {"size": 2}})).status_code == 200
        assert (await client.operate("/books/x", {"op": "replace", "path": "/title", "value": "u"})).status_code == 200
        assert (await client.put("/books/x", json={"title": "v", "inner": {"size": 3}})).status_code == 200
        stored = await collection_of(document).find_one({})
        assert (stored["__v"], stored["more"], stored["Title"]) == (3, {"a": [1]}, "T")
        assert stored["inner"]["size"] == 3
        assert stored["inner"]["colour"] == "red"
        for name in ("__v", "more", "Title"):
            assert pointers(await client.merge("/books/x", {name: 1})) == {f"/{name}"}


FIELDS = [name for name in Book.model_fields if name not in ("id", "revision_id", "isbn")]


@pytest.mark.parametrize("document", [Book, Computed])
@pytest.mark.parametrize("field", FIELDS)
async def test_wrong_types_are_never_a_server_error_and_put_repairs_them(
    database: Any, document: type[Document], field: str
) -> None:
    async with served(database, document, name="books", key="isbn") as client:
        collection = collection_of(document)
        rows = [{"isbn": str(number), "title": "t", "more": 1, field: value} for number, value in enumerate(WRONG)]
        await collection.insert_many(rows)
        listed = {item["isbn"]: item for item in (await client.get("/books")).json()["items"]}
        for number, value in enumerate(WRONG):
            said, url = f"{field} = {value!r}", f"/books/{number}"
            one = await client.get(url)
            assert one.status_code == 200, f"{said}: {one.text}"
            assert one.json() == listed[str(number)], said
            assert (await client.merge(url, {"title": "t"})).status_code in (200, 422), said
            assert (await client.operate(url, {"op": "remove", "path": "/authors/0/x"})).status_code < 500, said
            repaired = await client.put(url, json={"title": "u", "secret": "s"})
            assert repaired.status_code == 200, f"{said}: {repaired.text}"
            assert (await client.get(url)).content == repaired.content
        assert (await client.merge("/books/0", {"year": 5})).json()["year"] == 5
        assert await collection.count_documents({"more": 1}) == len(WRONG)
        assert (await client.delete("/books/0")).status_code == 204


@pytest.mark.parametrize("key", ["text", 5, None, [1], {"a": 1}])
async def test_ids_of_another_type(any_database: Any, key: Any) -> None:
    async with served(any_database, Book) as client:
        if isinstance(key, list):
            key = {"a": key}
        await collection_of(Book).insert_one({"_id": key, **GOOD})
        listed = await client.get("/books")
        assert listed.status_code == 200
        assert listed.json()["items"][0]["title"] == "t"


def stripped(value: Any) -> Any:
    return value.strip()


class Tagged(Document):
    tag: Annotated[str, BeforeValidator(stripped)] = "d"
    top: int = 1
    below: int = 1

    @computed_field
    def loud(self) -> str:
        return self.tag.upper()

    @computed_field
    def ratio(self) -> float:
        return self.top / self.below

    class Settings:
        name = "tagged"


async def test_what_breaks_the_models_own_functions_can_be_read_and_repaired(any_database: Any) -> None:
    async with served(any_database, Tagged, name="tagged") as client:
        rows = [{"_id": ObjectId(), **row} for row in ({"tag": None}, {"tag": 5}, {"below": 0}, {"tag": "t"})]
        await collection_of(Tagged).insert_many(rows)
        items = (await client.get("/tagged")).json()["items"]
        assert [item.get("ratio") for item in items] == [None, None, None, 1.0]
        assert [item["tag"] for item in items] == [None, 5, "d", "t"]
        exported = await client.get("/tagged", headers={"accept": "application/x-ndjson"})
        assert len(exported.content.splitlines()) == len(rows)
        for item in items[:2]:
            url = f"/tagged/{item['id']}"
            assert (await client.get(url)).json() == item
            assert pointers(await client.merge(url, {"top": 2})) == {"/tag"}
            assert (await client.put(url, json={"tag": "u"})).json()["loud"] == "U"
        await collection_of(Tagged).update_one({"_id": rows[0]["_id"]}, {"$set": {"tag": None}})
        assert (await client.delete(f"/tagged/{rows[0]['_id']}")).status_code == 204
        new = await client.post("/tagged", json={"below": 0})
        assert (new.status_code, new.json()["below"]) == (201, 0)


class Naive(Document):
    """Its datetimes have no zone, as Beanie reads them."""

    began: datetime
    name: str = "n"

    @computed_field
    def year(self) -> int:
        return (self.began - datetime(1, 1, 1)).days // 365  # noqa: DTZ001 - see above

    @model_validator(mode="after")
    def recent(self) -> Self:
        if self.began < datetime(2000, 1, 1):  # noqa: DTZ001
            raise ValueError("too old")
        return self

    class Settings:
        name = "naive"


class LooseNaive(Naive):
    @model_validator(mode="after")
    def recent(self) -> Self:
        return self

    class Settings:
        name = "naive"


@pytest.mark.parametrize(("document", "zone"), [(Naive, ""), (LooseNaive, "Z")])
async def test_a_model_may_expect_datetimes_without_a_zone(
    any_database: Any, document: type[Document], zone: str
) -> None:
    """What is shown can be sent."""
    async with served(any_database, document, name="naive") as client:
        row = {"_id": ObjectId(), "began": datetime(2024, 1, 1, tzinfo=UTC)}
        await collection_of(document).insert_one(dict(row))
        url = f"/naive/{row['_id']}"
        shown = (await client.get(url)).json()
        assert shown == {"id": str(row["_id"]), "began": f"2024-01-01T00:00:00{zone}", "name": "n", "year": 2024}
        assert (await client.get("/naive")).json()["items"] == [shown]
        assert (await client.merge(url, {"name": "m"})).json() == {**shown, "name": "m"}
        replaced = await client.put(url, json={"began": shown["began"]})
        assert replaced.json() == shown
        assert (await client.delete(url)).status_code == 204


class Many(Document):
    n: int
    free: dict[str, Any] = Field(default_factory=dict)

    class Settings:
        name = "many"


async def test_free_dicts_with_keys_that_clients_could_not_send(database: Any) -> None:
    async with served(database, Many, name="many") as client:
        await database["many"].insert_one({"_id": ObjectId(), "n": 1, "free": {"a.b": 1, "c": {"": 2}}})
        item = (await client.get("/many")).json()["items"][0]
        assert item["free"] == {"a.b": 1, "c": {"": 2}}
        url = f"/many/{item['id']}"
        assert (await client.merge(url, {"n": 2})).json() == {**item, "n": 2}
        more = await client.merge(url, {"free": {"d": 1}})
        assert more.json() == {**item, "n": 2, "free": {"a.b": 1, "c": {"": 2}, "d": 1}}


class Mixed(Document):
    year: Annotated[int | None, Indexed()] = None

    class Settings:
        name = "mixed"


IDS = ["a", "b", "c", 1, 2, 3.5, ObjectId(), ObjectId(), Binary(b"0" * 16, 4), {"a": 1}, False]


@pytest.mark.parametrize("sort", ["", "-id", "year", "-year"])
async def test_pages_show_rows_of_every_type(any_database: Any, sort: str) -> None:
    """G11: no row is lost or comes twice because another has its field, or its id, of another type."""
    async with served(any_database, Mixed, sorts=["id", "year"]) as client:
        years = [2.5, "x", None, True, datetime(2024, 1, 1, tzinfo=UTC), 1999, {"a": 1}, ObjectId(), "1999", 7, b"a"]
        rows = [{"_id": identity, "year": year} for identity, year in zip(IDS, years, strict=True)]
        await collection_of(Mixed).insert_many(rows)
        asked = {"sort": sort} if sort else {}
        whole = (await client.get("/mixeds", params=asked)).json()["items"]
        assert len(whole) == len(IDS)
        seen: list[Any] = []
        page = {"next_page_token": ""}
        while "next_page_token" in page:
            token = {"page_token": page["next_page_token"]} if page["next_page_token"] else {}
            page = (await client.get("/mixeds", params={**asked, "page_size": "2", **token})).json()
            seen += page["items"]
        assert seen == whole
