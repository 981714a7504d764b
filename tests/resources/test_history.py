"""Histories, documents as they were, and reverts: what the audit trail tells."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

import pytest
from beanie import Document, Indexed
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, computed_field
from pymongo import IndexModel

from regesta import (
    Access,
    AuditEvent,
    Change,
    Forbidden,
    HistoryRequest,
    Hooks,
    Immutable,
    Invalid,
    Parent,
    ReadOnly,
    Resource,
    Schemas,
    Secret,
    WriteOnly,
    crud_router,
    hookimpl,
)
from regesta.audit import AuditRecord, AuditTrail
from regesta.store import collection_of

from .serving import Client, pointers, served


class Recipe(Document):
    tenant: Annotated[str, ReadOnly] = ""
    name: Annotated[str, Immutable]
    title: str = ""
    steps: list[str] = []
    note: Annotated[str, WriteOnly] = ""
    token: Annotated[str, Secret] = ""
    views: Annotated[int, ReadOnly] = 0

    class Settings:
        indexes: ClassVar = [IndexModel(["tenant", "name"], unique=True)]


class Steady(Document):
    name: Annotated[str, Indexed(unique=True)]
    size: int = 0

    class Settings:
        use_revision = True


def tenant(x_tenant: Annotated[str, Header()] = "one") -> dict[str, str]:
    return {"tenant": x_tenant}


recipes = Resource(Recipe, key="name", scope=tenant)


def trail() -> Hooks:
    return Hooks(AuditTrail())


async def history(client: Client, url: str, **headers: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{url}:history", headers=headers)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def tag(answer: Any) -> str:
    return str(answer.headers["etag"]).strip('"')


async def test_a_history_tells_who_changed_what(any_database: Any) -> None:
    async with served(
        any_database, Steady, key="name", also=[AuditRecord], hooks=trail(), actor=lambda: "ann"
    ) as client:
        assert (await client.get("/steadies/a:history")).status_code == 404
        one = await client.post("/steadies", json={"name": "a", "size": 1}, headers={"x-request-id": "r1"})
        two = await client.merge("/steadies/a", {"size": 2})
        await client.merge("/steadies/a", {"size": 2})
        await client.delete("/steadies/a")
        three = await client.post("/steadies", json={"name": "a", "size": 3})
        await client.post("/steadies", json={"name": "b"})
        found = await history(client, "/steadies/a")
        assert [entry["action"] for entry in found] == ["create", "delete", "update", "create"]
        assert [entry["revision"] for entry in found] == [tag(three), None, tag(two), tag(one)]
        assert found[2]["changes"] == [{"op": "replace", "path": "/size", "value": 2}]
        assert found[3]["changes"] == [{"op": "add", "path": "", "value": one.json()}]
        assert found[3]["request_id"] == "r1"
        assert found[3]["actor"] == {"subject": "ann", "method": "dependency"}
        assert (await client.get("/steadies/b:history", params={"nonsense": "1"})).status_code == 422


async def test_histories_have_pages(any_database: Any) -> None:
    async with served(any_database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        await client.post("/steadies", json={"name": "a"})
        await client.post("/steadies", json={"name": "b"})
        for size in range(1, 7):
            await client.merge("/steadies/a", {"size": size})
        url, seen = "/steadies/a:history?page_size=2", []
        while url:
            page = await client.get(url)
            seen += [entry["changes"][0].get("value") for entry in page.json()["items"]]
            url = page.links["next"]["url"] if "next" in page.links else ""
        assert seen[:6] == [6, 5, 4, 3, 2, 1]
        token = (await client.get("/steadies/a:history?page_size=2")).json()["next_page_token"]
        strange = await client.get(f"/steadies/b:history?page_token={token}")
        assert strange.json()["code"] == "INVALID_PAGE_TOKEN"


async def test_changes_of_one_batch_are_in_order(database: Any) -> None:
    async with served(database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        operations: list[Any] = [{"op": "create", "body": {"name": "a"}}]
        operations += [{"op": "patch", "key": "a", "body": {"size": size}} for size in range(1, 40)]
        assert (await client.post("/steadies:batch", json={"operations": operations})).status_code == 200
        found = await history(client, "/steadies/a")
        assert [entry["changes"][0]["value"] for entry in found[:-1]] == list(range(39, 0, -1))
        past = await client.get("/steadies/a", params={"revision": found[20]["revision"]})
        assert past.json()["size"] == 19


async def test_hidden_fields_and_other_tenants_stay_hidden(any_database: Any) -> None:
    async with served(any_database, recipes, also=[AuditRecord], hooks=trail()) as client:
        body = {"name": "soup", "title": "Soup", "note": "hush-1", "token": "secret-1"}
        one = await client.post("/recipes", json=body)
        await client.merge("/recipes/soup", {"note": "hush-2", "title": "hush-1", "token": "secret-2"})
        await client.merge("/recipes/soup", {"note": "Soup"})
        other = {"x-tenant": "two"}
        await client.post("/recipes", json={"name": "soup", "title": "Other"}, headers=other)
        answer = await client.get("/recipes/soup:history")
        assert "hush-2" not in answer.text
        assert "secret" not in answer.text
        assert "redacted" not in answer.text
        assert "Other" not in answer.text
        found = answer.json()["items"]
        assert [change["path"] for entry in found for change in entry["changes"]] == ["/title", ""]
        assert "note" not in found[-1]["changes"][0]["value"]
        past = await client.get("/recipes/soup", params={"revision": tag(one)})
        assert past.json() == one.json()

        assert [entry["changes"][0]["value"]["title"] for entry in await history(client, "/recipes/soup", **other)] == [
            "Other"
        ]
        stolen = await client.get("/recipes/soup", params={"revision": tag(one)}, headers=other)
        assert (stolen.status_code, stolen.json()["code"]) == (404, "REVISION_UNKNOWN")
        taken = await client.post("/recipes/soup:revert", json={"revision": tag(one)}, headers=other)
        assert taken.status_code == 404
        await client.delete("/recipes/soup")
        assert len(await history(client, "/recipes/soup")) == 4
        assert (await client.get("/recipes/soup:history", headers={"x-tenant": "three"})).status_code == 404


async def test_a_busy_key_of_another_tenant_takes_nothing_away(
    any_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regesta.operations.history.MAX_CHAIN", 10)
    monkeypatch.setattr("regesta.operations.history.AT_ONCE", 3)
    other = {"x-tenant": "other"}
    async with served(any_database, recipes, also=[AuditRecord], hooks=trail()) as client:
        await client.post("/recipes", json={"name": "soup"})
        first = await client.merge("/recipes/soup", {"title": "A"})
        await client.post("/recipes", json={"name": "soup"}, headers=other)
        for number in range(20):
            await client.merge("/recipes/soup", {"title": f"{number}"}, **other)
        await client.merge("/recipes/soup", {"title": "B"})
        assert (await client.get("/recipes/soup", params={"revision": tag(first)})).json() == first.json()


async def test_an_event_tells_the_scope_of_its_document(any_database: Any) -> None:
    app_hooks = trail()
    everything = Resource(Recipe, name="all-recipes", singular="any_recipe", key="id", scope=lambda: {"tenant": ""})
    async with served(any_database, everything, also=[AuditRecord], hooks=app_hooks) as client:
        made = (await client.post("/all-recipes", json={"name": "soup"})).json()
        stored = await collection_of(AuditRecord).find_one({"key": made["id"]})
        assert stored["scope"] == {"tenant": ""}


async def test_a_document_as_it_was(any_database: Any) -> None:
    async with served(any_database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        answers = [await client.post("/steadies", json={"name": "a", "size": 0})]
        answers += [await client.merge("/steadies/a", {"size": size}) for size in range(1, 5)]
        for revised in answers:
            for revision in (tag(revised), revised.headers["etag"]):
                past = await client.get("/steadies/a", params={"revision": revision})
                assert past.json() == revised.json()
                assert past.headers["etag"] == revised.headers["etag"]
        again = {"if-none-match": revised.headers["etag"]}
        assert (await client.get("/steadies/a", params={"revision": tag(revised)}, headers=again)).status_code == 304
        some = await client.get("/steadies/a", params={"revision": tag(answers[1]), "fields": "size"})
        assert some.json() == {"name": "a", "size": 1}
        unknown = await client.get("/steadies/a?revision=abcdef")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "REVISION_UNKNOWN")
        assert (await client.get("/steadies/a?revision=xyz")).status_code == 422
        await client.delete("/steadies/a")
        past = await client.get("/steadies/a", params={"revision": tag(answers[2])})
        assert past.json() == answers[2].json()


async def test_equal_states_without_revisions(any_database: Any) -> None:
    async with served(any_database, recipes, also=[AuditRecord], hooks=trail()) as client:
        first = await client.post("/recipes", json={"name": "a", "title": "A"})
        for title in ("B", "A", "C", "A"):
            last = await client.merge("/recipes/a", {"title": title})
        assert last.headers["etag"] == first.headers["etag"]
        await client.merge("/recipes/a", {"title": "D", "steps": ["x"]})
        assert (await client.get("/recipes/a", params={"revision": tag(first)})).json() == first.json()


@pytest.mark.parametrize("lost", ["create", "update"])
async def test_a_gap_in_the_trail_is_told(any_database: Any, lost: str) -> None:
    async with served(any_database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        await client.post("/steadies", json={"name": "a"})
        await client.merge("/steadies/a", {"size": 1})
        third = await client.merge("/steadies/a", {"size": 2})
        fourth = await client.merge("/steadies/a", {"size": 3})
        wanted = {"action": lost, **({"revision_before": {"$ne": None}} if lost == "update" else {})}
        oldest = await collection_of(AuditRecord).find_one(wanted, sort=[("_id", 1)])
        await collection_of(AuditRecord).delete_one({"_id": oldest["_id"]})
        gone = await client.get("/steadies/a", params={"revision": tag(third)})
        assert (gone.status_code, gone.json()["code"]) == (410, "HISTORY_INCOMPLETE")
        assert (await client.post("/steadies/a:revert", json={"revision": tag(third)})).status_code == 410
        assert (await client.get("/steadies/a", params={"revision": tag(fourth)})).json()["size"] == 3


async def test_events_written_by_clocks_that_differ(any_database: Any) -> None:
    async with served(any_database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        await client.post("/steadies", json={"name": "a"})
        second = await client.merge("/steadies/a", {"size": 1})
        third = await client.merge("/steadies/a", {"size": 2})
        await client.merge("/steadies/a", {"size": 3})
        events = collection_of(AuditRecord)
        ahead = datetime.now(UTC) + timedelta(seconds=30)
        await events.update_one({"revision_after": tag(second)}, {"$set": {"time": ahead}})
        assert (await client.get("/steadies/a", params={"revision": tag(third)})).json()["size"] == 2


async def test_a_history_goes_by_revisions_whatever_the_clocks_of_the_workers_say(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers, one of them ten minutes behind; and events of an older version, which have no position."""

    def behind() -> datetime:
        return datetime.now(UTC) - timedelta(minutes=10)

    async with served(database, Steady, key="name", also=[AuditRecord], hooks=trail()) as client:
        answers = [await client.post("/steadies", json={"name": "a"}), await client.merge("/steadies/a", {"size": 1})]
        await collection_of(AuditRecord).update_many({}, {"$unset": {"position": ""}})
        for size in range(2, 6):
            with monkeypatch.context() as patch:
                if size % 2:
                    patch.setattr("regesta.change.now", behind)
                answers.append(await client.merge("/steadies/a", {"size": size}))
        revisions = [tag(answer) for answer in answers]

        assert [event["revision"] for event in await history(client, "/steadies/a")] == revisions[::-1]
        paged: list[str] = []
        token: dict[str, str] = {}
        for _ in revisions:
            page = (await client.get("/steadies/a:history", params={"page_size": "1", **token})).json()
            paged += [event["revision"] for event in page["items"]]
            token = {"page_token": page.get("next_page_token", "")}
        assert (paged, token) == (revisions[::-1], {"page_token": ""})
        for size, revision in enumerate(revisions):
            assert (await client.get("/steadies/a", params={"revision": revision})).json()["size"] == size


async def test_reverting(any_database: Any) -> None:
    async with served(any_database, recipes, also=[AuditRecord], hooks=trail()) as client:
        one = await client.post(
            "/recipes", json={"name": "a", "title": "A", "steps": ["x"], "note": "n1", "token": "t1"}
        )
        two = await client.merge("/recipes/a", {"title": "B", "steps": ["y", "z"], "note": "n2", "token": "t2"})
        await collection_of(Recipe).update_one({"name": "a"}, {"$set": {"views": 7}})
        now = await client.get("/recipes/a")
        stale = await client.post(
            "/recipes/a:revert", json={"revision": tag(one)}, headers={"if-match": two.headers["etag"]}
        )
        assert stale.status_code == 412
        would = await client.post("/recipes/a:revert?validate_only=true", json={"revision": tag(one)})
        assert would.json()["title"] == "A"
        assert (await client.get("/recipes/a")).content == now.content
        back = await client.post(
            "/recipes/a:revert", json={"revision": one.headers["etag"]}, headers={"if-match": now.headers["etag"]}
        )
        assert back.status_code == 200, back.text
        assert back.json() == {**one.json(), "views": 7}
        assert back.headers["etag"] == (await client.get("/recipes/a")).headers["etag"]
        stored = await collection_of(Recipe).find_one({"name": "a"})
        assert (stored["note"], stored["token"], stored["views"]) == ("n2", "t2", 7)
        latest = (await history(client, "/recipes/a"))[0]
        assert (latest["action"], latest["revision"]) == ("update", tag(back))
        assert (await client.post("/recipes/b:revert", json={"revision": tag(one)})).status_code == 404
        bodies: list[Any] = [{}, {"revision": 1}, {"revision": "xyz"}, {"revision": "ab", "more": 1}, []]
        for wrong in bodies:
            assert pointers(await client.post("/recipes/a:revert", json=wrong))


class Strict:
    """Refuses what is small, and those who may not."""

    def __init__(self) -> None:
        self.least = 0
        self.refused: set[str] = set()
        self.asked: list[str] = []

    @hookimpl
    def validate_change(self, change: Change[Steady]) -> None:
        if change.after and change.after.size < self.least:
            raise Invalid("size", "is too small")

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append(request.operation)
        if request.operation in self.refused:
            raise Forbidden(request.operation)


async def test_the_past_is_validated_and_authorized_as_the_present(any_database: Any) -> None:
    strict = Strict()
    hooks = Hooks(AuditTrail(), strict)
    async with served(any_database, Steady, key="name", also=[AuditRecord], hooks=hooks) as client:
        one = await client.post("/steadies", json={"name": "a", "size": 1})
        await client.merge("/steadies/a", {"size": 5})
        revision = {"revision": tag(one)}
        strict.asked.clear()
        strict.least = 2
        assert pointers(await client.post("/steadies/a:revert", json=revision)) == {"/size"}
        assert strict.asked == ["revert", "replace", "history"]
        for operation in ("revert", "replace", "history"):
            strict.refused = {operation}
            assert (await client.post("/steadies/a:revert", json=revision)).status_code == 403
        assert (await client.get("/steadies/a", params=revision)).status_code == 403
        assert (await client.get("/steadies/a:history")).status_code == 403
        assert (await client.get("/steadies/a")).status_code == 200


async def test_dependencies_of_what_a_revert_does_hold_for_it(any_database: Any) -> None:
    def nobody() -> None:
        raise HTTPException(403)

    for guarded in ("replace", "history", "revert"):
        options: Any = {"key": "name", "operation_dependencies": {guarded: [Depends(nobody)]}}
        async with served(any_database, Steady, also=[AuditRecord], hooks=trail(), **options) as client:
            assert (await client.post("/steadies/a:revert", json={"revision": "ab"})).status_code == 403
            expected = 422 if guarded == "history" else 404
            assert (await client.get("/steadies/a?revision=ab")).status_code == expected


class Card(Document):
    deck: Any = None
    number: int = 0
    text: str = ""


async def test_children_of_two_parents_have_two_histories(any_database: Any) -> None:
    decks = Resource(Steady, name="decks", singular="deck", key="name")
    cards = Resource(Card, key="number", parent=Parent(resource=decks, field="deck", sequence="number"))
    async with served(any_database, decks, cards, also=[AuditRecord], hooks=trail()) as client:
        for deck in "ab":
            await client.post("/decks", json={"name": deck})
            made = await client.post(f"/decks/{deck}/cards", json={"text": deck})
            assert made.json()["number"] == 1
        (entry,) = await history(client, "/decks/a/cards/1")
        assert entry["changes"][0]["value"]["text"] == "a"
        assert (await client.get("/decks/a/cards/1", params={"revision": tag(made)})).status_code == 404
        assert (await client.get("/decks/b/cards/1", params={"revision": tag(made)})).json() == made.json()
        assert (await client.get("/decks/c/cards/1:history")).status_code == 404


class Shape(Document):
    name: Annotated[str, Indexed(unique=True)]
    width: int = 1
    height: int = 1

    @computed_field
    def area(self) -> int:
        return self.width * self.height


class Outline(BaseModel):
    name: str
    area: int


@pytest.mark.parametrize("read", [None, Outline])
async def test_models_of_another_form(any_database: Any, read: Any) -> None:
    options: Any = {"key": "name", "schemas": Schemas(read=read)}
    async with served(any_database, Shape, also=[AuditRecord], hooks=trail(), **options) as client:
        one = await client.post("/shapes", json={"name": "a", "width": 3})
        await client.merge("/shapes/a", {"width": 4})
        past = await client.get("/shapes/a", params={"revision": tag(one)})
        assert past.json() == one.json()
        assert past.json()["area"] == 3
        entries = await history(client, "/shapes/a")
        assert all(("changes" in entry) is (read is None) for entry in entries)
        back = await client.post("/shapes/a:revert", json={"revision": tag(one)})
        assert back.json()["area"] == 3


async def test_without_a_trail_there_is_no_history(any_database: Any) -> None:
    app = FastAPI()
    app.include_router(crud_router(Steady, key="name"))
    paths = app.openapi()["paths"]
    assert not [path for path in paths if path.endswith((":history", ":revert", ":restore"))]
    async with served(any_database, Steady, key="name") as client:
        await client.post("/steadies", json={"name": "a"})
        assert (await client.get("/steadies/a:history")).status_code == 404
        assert (await client.post("/steadies/a:revert", json={})).status_code == 405
        assert (await client.get("/steadies/a?revision=ab")).status_code == 422


class Elsewhere:
    """Another trail than ours."""

    def __init__(self) -> None:
        self.kept: list[AuditEvent] = []

    @hookimpl
    def record_change(self, change: Change[Any]) -> None:
        self.kept.append(change.event)

    @hookimpl
    def read_history(self, request: HistoryRequest) -> Sequence[AuditEvent]:
        found = [event for event in reversed(self.kept) if event.key == request.key]
        if request.revision:
            found = [event for event in found if event.revision_after == request.revision]
        if request.before:
            found = [event for event in found if (event.time, event.id) < request.before]
        return found[: request.limit]


async def test_another_trail_answers_as_well(any_database: Any) -> None:
    async with served(any_database, Steady, key="name", hooks=Hooks(Elsewhere())) as client:
        one = await client.post("/steadies", json={"name": "a", "size": 1})
        await client.merge("/steadies/a", {"size": 2})
        assert len(await history(client, "/steadies/a")) == 2
        back = await client.post("/steadies/a:revert", json={"revision": tag(one)})
        assert back.json()["size"] == 1


def documented(app: FastAPI) -> Mapping[str, Any]:
    return app.openapi()["paths"]  # type: ignore[no-any-return]


def test_openapi_tells_of_it() -> None:
    app = FastAPI()
    app.include_router(crud_router(Steady, key="name", hooks=trail()), prefix="/x")
    paths = documented(app)
    assert {"200", "404", "422", "503"} <= paths["/x/steadies/{steady}:history"]["get"]["responses"].keys()
    revert = paths["/x/steadies/{steady}:revert"]["post"]
    assert {"200", "404", "409", "410", "412", "415", "422"} <= revert["responses"].keys()
    assert revert["requestBody"]["required"]
    parameters = paths["/x/steadies/{steady}"]["get"]["parameters"]
    assert "revision" in [found["name"] for found in parameters]
