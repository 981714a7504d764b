"""What a watch tells."""

from typing import Annotated, Any

from beanie import Document, Indexed
from tests.watch.streams import EVENTS, watched

from regesta import Immutable, Secret, WriteOnly


class Book(Document):
    isbn: Annotated[str, Indexed(unique=True), Immutable]
    title: Annotated[str, Indexed()]
    year: Annotated[int, Indexed()] = 0
    price: Annotated[int, WriteOnly] = 0
    lock: Annotated[str, Secret] = ""

    class Settings:
        name = "watched_books"
        use_revision = True


async def merge(client: Any, url: str, body: Any) -> Any:
    answer = await client.patch(url, json=body, headers={"content-type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text
    return answer


async def test_a_collection_tells_what_is_created_changed_and_deleted_as_readers_see_it(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client, client.watch("/books") as stream:
        assert stream.response.headers["cache-control"] == "no-store"
        assert stream.response.headers["x-accel-buffering"] == "no"
        await stream.beat()
        assert stream.head == ["retry: 0"]
        new = await client.post("/books", json={"isbn": "1", "title": "T", "price": 5, "lock": "x"})
        changed = await merge(client, "/books/1", {"title": "U"})
        await merge(client, "/books/1", {"title": "V"})
        await client.delete("/books/1")
        created, updated, last, deleted = await stream.take(4)
        assert created.event == "created"
        assert created.data == {"key": "1", "etag": new.headers["etag"], "item": new.json()}
        assert updated.event == "updated"
        assert updated.data == {"key": "1", "etag": changed.headers["etag"], "item": changed.json()}
        assert last.data["item"]["title"] == "V"
        assert (deleted.event, deleted.data) == ("deleted", {"key": "1"})
        assert "price" not in created.data["item"]
        assert "lock" not in created.data["item"]
        assert len({created.id, updated.id, last.id, deleted.id}) == 4


async def test_an_event_shows_the_state_of_its_change_and_no_later_one(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client:
        page = (await client.get("/books?include=watch")).json()
        await client.post("/books", json={"isbn": "1", "title": "0"})
        for number in range(1, 6):
            await merge(client, "/books/1", {"title": str(number)})
        await client.delete("/books/1")
        async with client.watch("/books", params={"after": page["watch_token"]}) as stream:
            seen = await stream.take(7)
        assert [one.data["item"]["title"] for one in seen[:-1]] == ["0", "1", "2", "3", "4", "5"]


async def test_a_filter_creates_what_comes_to_match_and_deletes_what_ceases_to(database: Any) -> None:
    async with (
        watched(database, Book, key="isbn") as client,
        client.watch("/books?year__gte=2000&filter=title:a&fields=year") as stream,
    ):
        await stream.beat()
        await client.post("/books", json={"isbn": "old", "title": "a", "year": 1900})
        await client.post("/books", json={"isbn": "1", "title": "a", "year": 1990})
        await merge(client, "/books/1", {"year": 2001})
        await merge(client, "/books/1", {"year": 2002})
        await merge(client, "/books/1", {"title": "b"})
        await client.delete("/books/1")
        await client.delete("/books/old")
        await client.post("/books", json={"isbn": "2", "title": "a", "year": 2000})
        seen = await stream.take(4)
        assert [(one.event, one.data["key"]) for one in seen] == [
            ("created", "1"),
            ("updated", "1"),
            ("deleted", "1"),
            ("created", "2"),
        ]
        assert seen[0].data["item"] == {"isbn": "1", "year": 2001}


async def test_one_document_is_watched_alone_and_beyond_its_end(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client:
        assert (await client.refused("/books/1", 404))["code"] == "NOT_FOUND"
        for isbn in ("1", "2"):
            await client.post("/books", json={"isbn": isbn, "title": "T"})
        async with client.watch("/books/1") as stream:
            await stream.beat()
            await merge(client, "/books/2", {"title": "U"})
            await merge(client, "/books/1", {"title": "U"})
            [updated] = await stream.take(1)
            assert (updated.event, updated.data["key"]) == ("updated", "1")
        await client.delete("/books/1")
        async with client.watch("/books/1", headers={"last-event-id": updated.id}) as stream:
            [deleted] = await stream.take(1)
            assert deleted.event == "deleted"


async def test_what_a_watch_does_not_have_is_refused(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client:
        for query in ("sort=isbn", "page_size=2", "page_token=a.b.c", "include=etag", "strange=1", "year=x"):
            await client.refused(f"/books?{query}", 422)
        await client.refused("/books/1?year=1", 422)
        assert (await client.get("/books?after=a.b")).status_code == 422
        assert (await client.get("/books?include=watch,watch")).status_code == 422


async def test_head_answers_without_a_stream(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client:
        answer = await client.head("/books", headers=EVENTS)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")


async def test_who_likes_json_better_gets_json(database: Any) -> None:
    async with watched(database, Book, key="isbn") as client:
        for accept in ("*/*", "application/json, text/event-stream;q=0.5", "text/event-stream;q=0", "text/*"):
            answer = await client.get("/books", headers={"accept": accept})
            assert answer.json()["items"] == []
        async with client.watch("/books", headers={"accept": "TEXT/event-stream, application/json;q=0.9"}):
            pass


async def test_where_list_or_watch_is_not_offered_there_is_no_watch(database: Any) -> None:
    async with watched(database, Book, key="isbn", operations=["list", "get", "create"]) as client:
        assert (await client.get("/books", headers=EVENTS)).json() == {"items": []}
        assert (await client.get("/books?include=watch")).status_code == 422
    async with watched(database, Book, key="isbn", operations=["watch", "get"]) as client:
        assert (await client.get("/books", headers=EVENTS)).status_code == 404
