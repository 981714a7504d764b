"""`soft_delete`: deleted documents stay, are hidden, and come back."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

import pytest
from beanie import Document, DocumentWithSoftDelete, Indexed, Link, after_event, before_event
from beanie.odm.actions import EventTypes
from fastapi import Header
from pydantic import Field
from pymongo import IndexModel

from regesta import (
    Action,
    AuditEvent,
    Change,
    Conflict,
    DeclarationError,
    Hooks,
    Immutable,
    Parent,
    Resource,
    crud_router,
    hookimpl,
)
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of

from .serving import Client, pointers, served

LIVE = {"deleted_at": None}


class Note(Document):
    name: Annotated[str, Immutable]
    text: str = ""
    deleted_at: datetime | None = None

    class Settings:
        use_revision = True
        indexes: ClassVar = [IndexModel(["name"], unique=True, partialFilterExpression=LIVE)]


class Sheet(Document):
    """Without a revision, and without nulls in what is stored."""

    tenant: str = ""
    name: str
    size: int = 0
    deleted_at: datetime | None = Field(default=None, alias="deletedAt")

    class Settings:
        keep_nulls = False
        indexes: ClassVar = [IndexModel(["tenant", "name"], unique=True, partialFilterExpression={"deletedAt": None})]


notes = Resource(Note, key="name", soft_delete=True)


async def names(client: Client, url: str = "/notes", **params: str) -> list[str]:
    answer = await client.get(url, params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_a_body_of_a_restore_needs_a_content_type(any_database: Any) -> None:
    async with served(any_database, Note, key="name", soft_delete=True) as client:
        assert (await client.post("/notes", json={"name": "a"})).status_code == 201
        await client.delete("/notes/a")
        assert (await client.post("/notes/a:restore", content=b"{}")).status_code == 415
        assert (await client.post("/notes/a:restore")).status_code == 200


async def test_a_deleted_document_is_hidden_but_there(any_database: Any) -> None:
    async with served(any_database, notes) as client:
        for name in "ab":
            made = await client.post("/notes", json={"name": name, "text": "first"})
            assert made.json()["deleted_at"] is None
        gone = await client.delete("/notes/b", headers={"if-match": made.headers["etag"]})
        assert gone.status_code == 204
        assert await names(client) == ["a"]
        assert await names(client, sort="-name") == ["a"]
        assert await names(client, name="b") == []
        assert await names(client, show_deleted="false") == ["a"]
        assert await names(client, show_deleted="true") == ["a", "b"]
        counted = await client.get("/notes", headers={"prefer": "count=estimated"})
        assert counted.json()["total"] == 1

        kept = await client.get("/notes/b")
        assert kept.status_code == 200
        assert datetime.fromisoformat(kept.json()["deleted_at"]).year > 2000
        assert kept.headers["etag"] != made.headers["etag"]
        assert (await client.delete("/notes/b")).status_code == 404
        for refused in (
            await client.put("/notes/b", json={"text": "x"}),
            await client.merge("/notes/b", {"text": "x"}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (409, "DELETED")
        assert (await client.get("/notes/b")).content == kept.content


async def test_only_the_server_deletes_and_restores(any_database: Any) -> None:
    async with served(any_database, notes) as client:
        sent = {"name": "a", "deleted_at": "2020-01-01T00:00:00Z"}
        assert pointers(await client.post("/notes", json=sent)) == {"/deleted_at"}
        await client.post("/notes", json={"name": "a"})
        assert pointers(await client.merge("/notes/a", {"deleted_at": "2020-01-01T00:00:00Z"})) == {"/deleted_at"}


async def test_exports_and_facets_hide_deleted_ones(any_database: Any) -> None:
    async with served(any_database, notes) as client:
        for name in "ab":
            await client.post("/notes", json={"name": name})
        await client.delete("/notes/b")
        ndjson = {"accept": "application/x-ndjson"}
        assert len((await client.get("/notes", headers=ndjson)).text.splitlines()) == 1
        assert len((await client.get("/notes?show_deleted=true", headers=ndjson)).text.splitlines()) == 2
        counts = (await client.get("/notes:facets?by=name")).json()
        assert "'b'" not in str(counts)
        assert "'a'" in str(counts)
        assert "'b'" in str((await client.get("/notes:facets?by=name&show_deleted=true")).json())


async def test_restoring(any_database: Any) -> None:
    async with served(any_database, notes) as client:
        missing = await client.post("/notes/a:restore")
        assert missing.status_code == 404
        await client.post("/notes", json={"name": "a", "text": "x"})
        live = await client.post("/notes/a:restore")
        assert (live.status_code, live.json()["code"]) == (409, "NOT_DELETED")
        await client.delete("/notes/a")
        deleted = await client.get("/notes/a")
        stale = await client.post("/notes/a:restore", headers={"if-match": '"abc"'})
        assert stale.status_code == 412
        would = await client.post("/notes/a:restore?validate_only=true")
        assert (would.status_code, would.json()["deleted_at"]) == (200, None)
        assert (await client.get("/notes/a")).content == deleted.content
        back = await client.post("/notes/a:restore", headers={"if-match": deleted.headers["etag"]})
        assert back.status_code == 200
        assert back.json() == {**deleted.json(), "deleted_at": None}
        assert back.headers["etag"] not in ("", deleted.headers["etag"])
        assert await names(client) == ["a"]
        assert (await client.get("/notes/a")).headers["etag"] == back.headers["etag"]


async def test_a_key_can_be_taken_again(any_database: Any) -> None:
    async with served(any_database, notes) as client:
        for text in ("first", "second", "third"):
            made = await client.post("/notes", json={"name": "a", "text": text})
            assert made.status_code == 201
            assert (await client.post("/notes", json={"name": "a"})).status_code == 409
            await client.delete("/notes/a")
        assert (await client.get("/notes/a")).json()["text"] == "third"
        created = await client.put("/notes/a?allow_missing=true", json={"text": "fourth"})
        assert created.status_code == 201
        assert (await client.get("/notes/a")).json()["text"] == "fourth"
        taken = await client.post("/notes/a:restore")
        assert (taken.status_code, taken.json()["code"]) == (409, "DUPLICATE")
        await client.delete("/notes/a")
        # Page by page nothing is lost among the many of one key.
        found, query = [], "page_size=1&show_deleted=true"
        page = (await client.get(f"/notes?{query}")).json()
        found += page["items"]
        token = page["next_page_token"]
        other = await client.get(f"/notes?page_size=1&page_token={token}")
        assert other.json()["code"] == "INVALID_PAGE_TOKEN"
        while "next_page_token" in page:
            page = (await client.get(f"/notes?{query}&page_token={page['next_page_token']}")).json()
            found += page["items"]
        assert [item["text"] for item in found] == ["first", "second", "third", "fourth"]
        assert (await client.post("/notes/a:restore")).json()["text"] == "fourth"


async def test_documents_without_a_revision_with_an_alias_and_without_nulls(any_database: Any) -> None:
    def tenant(x_tenant: Annotated[str, Header()] = "one") -> dict[str, str]:
        return {"tenant": x_tenant}

    async with served(any_database, Sheet, key="name", soft_delete=True, scope=tenant) as client:
        made = await client.post("/sheets", json={"name": "a", "size": 3})
        assert made.status_code == 201, made.text
        other = {"x-tenant": "two"}
        assert (await client.delete("/sheets/a", headers=other)).status_code == 404
        assert (await client.delete("/sheets/a", headers={"if-match": made.headers["etag"]})).status_code == 204
        assert (await client.get("/sheets/a", headers=other)).status_code == 404
        assert (await client.post("/sheets/a:restore", headers=other)).status_code == 404
        deleted = await client.get("/sheets/a")
        assert deleted.json()["deletedAt"]
        assert deleted.headers["etag"] != made.headers["etag"]
        back = await client.post("/sheets/a:restore", headers={"if-match": deleted.headers["etag"]})
        assert (back.status_code, back.json()["deletedAt"]) == (200, None)
        assert back.headers["etag"] == (await client.get("/sheets/a")).headers["etag"]


class Loud(Document):
    name: str
    said: list[str] = []
    deleted_at: datetime | None = None

    @before_event(EventTypes.DELETE)
    def before(self) -> None:
        HEARD.append("before delete")

    @after_event(EventTypes.DELETE)
    def after(self) -> None:
        HEARD.append("after delete")

    class Settings:
        indexes: ClassVar = [IndexModel(["name"], unique=True, partialFilterExpression=LIVE)]


HEARD: list[str] = []


class Watcher:
    """Hears of every change."""

    @hookimpl
    def validate_change(self, change: Change[Any]) -> None:
        HEARD.append(f"{change.action} {change.before is not None} {change.after is not None}")
        if change.action is Action.RESTORE and change.key == "never":
            raise Conflict("stays where it is")

    @hookimpl
    def audit_event(self, event: AuditEvent) -> None:
        HEARD.append(f"{event.action} {[found['path'] for found in event.changes]} {event.revision_after is not None}")


async def test_hooks_actions_and_the_trail_see_a_delete(any_database: Any) -> None:
    HEARD.clear()
    resource = Resource(Loud, key="name", soft_delete=True)
    async with served(any_database, resource, also=[AuditRecord], hooks=Hooks(Watcher(), AuditTrail())) as client:
        await client.post("/louds", json={"name": "a"})
        HEARD.clear()
        await client.delete("/louds/a")
        assert HEARD == [
            "before delete",
            "delete True False",
            "after delete",
            "delete ['/deleted_at'] True",
        ]
        HEARD.clear()
        await client.post("/louds/a:restore")
        assert HEARD == ["restore True True", "restore ['/deleted_at'] True"]
        actions = [found["action"] async for found in collection_of(AuditRecord).find({}).sort("_id", 1)]
        assert actions == ["create", "delete", "restore"]
        await client.post("/louds", json={"name": "never"})
        await client.delete("/louds/never")
        assert (await client.post("/louds/never:restore")).status_code == 409


class Page(Document):
    book: Any = None
    number: int = 0
    name: str
    deleted_at: datetime | None = None


class Scrap(Document):
    book: Any = None
    name: str


books = Resource(Note, name="books", singular="book", key="name", soft_delete=True)
pages = Resource(Page, key="name", parent=Parent(resource=books, field="book", sequence="number"), soft_delete=True)
scraps = Resource(Scrap, key="name", parent=Parent(resource=books, field="book"))


async def test_children_go_with_their_parent(database: Any) -> None:
    trail = Hooks(AuditTrail())
    async with served(database, books, pages, scraps, also=[AuditRecord], hooks=trail) as client:
        await client.post("/books", json={"name": "b"})
        for name in ("p", "q"):
            await client.post("/books/b/pages", json={"name": name})
        await client.post("/books/b/scraps", json={"name": "s"})
        await client.delete("/books/b/pages/q")
        assert (await client.delete("/books/b")).status_code == 409
        assert (await client.delete("/books/b?cascade=true")).status_code == 204
        assert (await client.get("/books/b/pages/p")).json()["deleted_at"]
        assert await names(client, "/books/b/pages") == []
        assert await names(client, "/books/b/pages", show_deleted="true") == ["p", "q"]
        assert (await client.get("/books/b/scraps/s")).status_code == 404
        deleted = [found["key"] async for found in collection_of(AuditRecord).find({"action": "delete"})]
        assert sorted(deleted) == ["b", "p", "q", "s"]

        for refused in (
            await client.post("/books/b/pages", json={"name": "r"}),
            await client.post("/books/b/pages/p:restore"),
            await client.post("/books/b/pages:batch", json={"operations": [{"op": "create", "body": {"name": "r"}}]}),
        ):
            assert refused.status_code == 404, refused.text
        assert (await client.post("/books/b:restore")).status_code == 200
        assert (await client.post("/books/b/pages/p:restore")).status_code == 200
        # The numbers go on: none is given twice.
        assert (await client.post("/books/b/pages", json={"name": "r"})).json()["number"] == 3
        assert await names(client, "/books/b/pages") == ["p", "r"]


async def test_a_parent_whose_children_are_deleted_has_none(any_database: Any) -> None:
    async with served(any_database, books, pages, scraps) as client:
        await client.post("/books", json={"name": "b"})
        await client.post("/books/b/pages", json={"name": "p"})
        await client.delete("/books/b/pages/p")
        assert (await client.delete("/books/b")).status_code == 204


async def test_deletes_in_a_batch(database: Any) -> None:
    async with served(database, notes) as client:
        operations = [
            {"op": "create", "body": {"name": "a", "text": "first"}},
            {"op": "delete", "key": "a"},
            {"op": "create", "body": {"name": "a", "text": "second"}},
            {"op": "delete", "key": "a"},
        ]
        answer = await client.post("/notes:batch", json={"operations": operations})
        assert [found["status"] for found in answer.json()["results"]] == [201, 204, 201, 204], answer.text
        assert await names(client) == []
        assert len(await names(client, show_deleted="true")) == 2
        one = {"operations": [{"op": "patch", "key": "a", "body": {"text": "x"}}]}
        assert (await client.post("/notes:batch", json=one)).status_code == 409


class Citation(Document):
    note: Link[Note]


async def test_expansions_do_not_show_deleted_ones(any_database: Any) -> None:
    async with served(any_database, notes, Resource(Citation)) as client:
        note = (await client.post("/notes", json={"name": "a"})).json()
        await client.post("/citations", json={"note": note["id"]})
        (shown,) = (await client.get("/citations?expand=note")).json()["items"]
        assert shown["note"]["name"] == "a"
        await client.delete("/notes/a")
        (shown,) = (await client.get("/citations?expand=note")).json()["items"]
        assert "name" not in str(shown["note"])


async def test_lists_use_the_index(database: Any) -> None:
    async with served(database, notes) as client:
        await client.post("/notes", json={"name": "a"})
        plan = str(await collection_of(Note).find({"name": "a", "deleted_at": None}).explain())
        assert "IXSCAN" in plan
        assert "COLLSCAN" not in plan


async def test_without_it_nothing_is_new(any_database: Any) -> None:
    async with served(any_database, Note, key="name") as client:
        await client.post("/notes", json={"name": "a"})
        assert (await client.post("/notes/a:restore")).status_code in (404, 405)
        assert (await client.get("/notes?show_deleted=true")).status_code == 422
        await client.delete("/notes/a")
        assert (await client.get("/notes/a")).status_code == 404


class Beanies(DocumentWithSoftDelete):
    name: str


class Bare(Document):
    name: str


class Taken(Document):
    name: Annotated[str, Indexed(unique=True)]
    deleted_at: datetime | None = None


@pytest.mark.parametrize(
    ("document", "said"), [(Beanies, "Beanie"), (Bare, "deleted_at"), (Taken, "partialFilterExpression")]
)
def test_declarations_that_cannot_work(document: type[Document], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        crud_router(document, key="name", soft_delete=True)


def test_a_child_needs_a_parent_that_stays() -> None:
    above = Resource(Bare, key="name")
    with pytest.raises(DeclarationError, match="bares"):
        Resource(Page, key="name", parent=Parent(resource=above, field="book"), soft_delete=True)
