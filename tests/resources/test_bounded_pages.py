"""Pages, histories and expansions of large documents: cut by bytes, with a token for the rest."""

from typing import Any

import bson
import pytest
from beanie import Document

from regesta import Hooks
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import Rows, aggregated_rows, collection_of, read_rows

from .serving import Client, served

MEGABYTE = 1024 * 1024


class Folio(Document):
    name: str
    text: str = ""

    class Settings:
        name = "bounded_folios"
        use_revision = True


async def _folios(count: int, size: int = MEGABYTE, **fields: Any) -> list[str]:
    names = [f"f{number:03d}" for number in range(count)]
    await collection_of(Folio).insert_many([{"name": name, "text": "x" * size, **fields} for name in names])
    return names


async def _pages(client: Client, path: str) -> list[dict[str, Any]]:
    pages, token = [], ""
    while True:
        answer = await client.get(path + (f"&page_token={token}" if token else ""))
        assert answer.status_code == 200, answer.text[:500]
        assert len(answer.content) < 5 * MEGABYTE
        pages.append(answer.json())
        token = pages[-1].get("next_page_token", "")
        if not token:
            return pages


async def test_a_page_of_large_documents_is_shorter_and_has_a_token(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios", sorts=["name"]) as client:
        names = await _folios(10)
        for asked in ("page_size=100", "page_size=100&sort=-name", "page_size=100&fields=name,text", "page_size=3"):
            pages = await _pages(client, f"/folios?{asked}")

            found = [item["name"] for page in pages for item in page["items"]]
            assert sorted(found) == names
            assert found == sorted(names, reverse="-name" in asked)
            assert len(pages) == 4, asked
        assert len(await _pages(client, "/folios?page_size=100&fields=name")) == 1


async def test_a_single_document_may_have_more_than_a_page(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios") as client:
        names = await _folios(3, 4 * MEGABYTE + 10)
        assert [[item["name"] for item in page["items"]] for page in await _pages(client, "/folios?page_size=9")] == [
            [name] for name in names
        ]


async def test_rows_are_cut_at_any_size(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios"):
        await _folios(20, 100)
        collection = collection_of(Folio)
        whole = await read_rows(collection, {}, count=20, sort=[("_id", 1)])
        assert (len(whole.documents), whole.more) == (20, False)
        assert (await read_rows(collection, {}, count=19, sort=[("_id", 1)])).more
        size = 0
        for most in range(1, 3400, 70):
            rows = await read_rows(collection, {}, count=20, sort=[("_id", 1)], most=most)
            assert rows.documents == whole.documents[: len(rows.documents)]
            assert len(rows.documents) >= max(size, 1)
            assert rows.more is (len(rows.documents) < 20)
            size = len(rows.documents)
            piped = await aggregated_rows(collection, [{"$sort": {"_id": 1}}], 5, count=20, most=most)
            assert piped == rows
        assert size == 20


async def test_a_history_of_large_changes_has_pages_too(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, Folio, key="name", name="folios", hooks=hooks, also=[AuditRecord]) as client:
        assert (await client.post("/folios", json={"name": "a"})).status_code == 201
        for number in range(9):
            answer = await client.merge("/folios/a", {"text": str(number) + "x" * (MEGABYTE - 100)})
            assert answer.status_code == 200

        pages = await _pages(client, "/folios/a:history?page_size=100")

        revisions = [entry["revision"] for page in pages for entry in page["items"]]
        assert len(revisions) == len(set(revisions)) == 10
        assert len(pages) == 3
        past = await client.get(f"/folios/a?revision={revisions[5]}")
        assert past.json()["text"][0] == "3"


async def test_facets_of_large_values_are_cut(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios", filters=["name", "text"]) as client:
        texts = [str(number) + "x" * MEGABYTE for number in range(8)]
        await collection_of(Folio).insert_many([{"name": text[0], "text": text} for text in texts])
        found = (await client.get("/folios:facets?by=text")).json()
        assert found["truncated"] == ["text"]
        assert 1 <= len(found["facets"]["text"]) < 8


# what is known of the size of rows


def _bytes(rows: Rows) -> int:
    return sum(len(bson.encode(document)) for document in rows.documents)


async def test_rows_are_cut_in_any_of_several_replies(database: Any) -> None:
    """A reply has at most 16 MB: the limit is for all replies together."""
    async with served(database, Folio, key="name", name="folios"):
        await _folios(20)
        collection = collection_of(Folio)
        one = _bytes(await read_rows(collection, {}, count=1))
        for fitting in (15, 17):  # the first reply has 15
            rows = await read_rows(collection, {}, count=20, most=fitting * one + one - 1)
            assert (len(rows.documents), rows.more) == (fitting, True)


async def _grown(megabytes: int) -> None:
    await collection_of(Folio).update_many({}, {"$set": {"text": "x" * (megabytes * MEGABYTE)}})


async def test_rows_that_have_grown_beyond_a_reply_are_cut_at_once(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios"):
        await _folios(20, 10)
        for _ in range(2):  # the second one relies on what the first one saw
            rows = await read_rows(collection_of(Folio), {}, count=20)
            assert (len(rows.documents), rows.more) == (20, False)
        await _grown(1)
        rows = await read_rows(collection_of(Folio), {}, count=20)
        assert (len(rows.documents), rows.more) == (3, True)


async def test_sizes_that_were_seen_are_relied_on_for_some_reads_only(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regesta.store._rows.RELY", 3)
    async with served(database, Folio, key="name", name="folios"):
        await _folios(6, 10)
        await read_rows(collection_of(Folio), {}, count=20)
        await _grown(1)
        found = [len((await read_rows(collection_of(Folio), {}, count=20)).documents) for _ in range(4)]
        assert found == [6, 6, 6, 3]


async def test_the_size_of_some_fields_says_nothing_about_the_others(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios"):
        await _folios(10)
        for _ in range(2):
            rows = await read_rows(collection_of(Folio), {}, count=20, projection={"name": 1})
            assert len(rows.documents) == 10
        assert len((await read_rows(collection_of(Folio), {}, count=20)).documents) == 3


async def test_a_page_takes_one_question(database: Any) -> None:
    async with served(database, Folio, key="name", name="folios"):
        await _folios(300, 10)
        collection = collection_of(Folio)
        await database.command("profile", 2)
        try:
            for _ in range(2):  # as nothing and as something is known of its size
                assert len((await read_rows(collection, {}, count=250)).documents) == 250
        finally:
            await database.command("profile", 0)
        asked = await database["system.profile"].find({"ns": f"{database.name}.{collection.name}"}).to_list(None)
        assert [op["op"] for op in asked] == ["query", "query"]
