"""A document that `init_beanie` was not given: an error says what to add, and nothing is written."""

from collections.abc import Sequence
from typing import Any

import pytest
from beanie import Document, init_beanie
from fastapi import FastAPI

from regesta import Change, ConfigurationError, Hooks, Registry, Resource, crud_router, hookimpl
from regesta.audit import AuditTrail
from regesta.change import Caller
from regesta.store import collection_of

from .serving import client_of


class Parcel(Document):
    name: str = ""


class Stranger(Document):
    """One that Beanie never gets to know."""


class Unready(Document):
    """Another one."""


TRAIL = "plugin 'audit-trail': Beanie does not know AuditRecord: add it to the `document_models` of `init_beanie`"


@pytest.fixture
def no_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Beanie forget what other tests told it of the trail's document."""
    monkeypatch.setattr(AuditTrail.document, "_document_settings", None)


def app_with(*plugins: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(crud_router(Parcel, hooks=Hooks(*plugins)))
    return app


WRITES = [
    ("POST", "/parcels", {"name": "a"}),
    ("PATCH", "/parcels/{id}", {"name": "b"}),
    ("PUT", "/parcels/{id}", {"name": "b"}),
    ("DELETE", "/parcels/{id}", None),
    ("POST", "/parcels:batch", {"operations": [{"op": "create", "body": {"name": "c"}}]}),
]


@pytest.mark.usefixtures("no_trail")
@pytest.mark.parametrize("write", WRITES)
async def test_a_trail_without_its_document_says_what_to_add(any_database: Any, write: tuple[str, str, Any]) -> None:
    await init_beanie(any_database, document_models=[Parcel])
    parcel = await Parcel(name="old").insert()
    verb, url, body = write
    headers = {"content-type": "application/merge-patch+json"} if verb == "PATCH" else {}
    async with client_of(app_with(AuditTrail())) as client:
        with pytest.raises(ConfigurationError) as raised:
            await client.request(verb, url.format(id=parcel.id), json=body, headers=headers)
        assert str(raised.value) == TRAIL
        assert (await client.get("/parcels")).json()["items"] == [{"id": str(parcel.id), "name": "old"}]


@pytest.mark.usefixtures("no_trail")
async def test_a_history_without_its_document_says_what_to_add(any_database: Any) -> None:
    await init_beanie(any_database, document_models=[Parcel])
    parcel = await Parcel().insert()
    async with client_of(app_with(AuditTrail())) as client:
        with pytest.raises(ConfigurationError, match="does not know AuditRecord: add it"):
            await client.get(f"/parcels/{parcel.id}:history")


@pytest.mark.usefixtures("no_trail")
async def test_several_writes_of_a_program_say_it_too(any_database: Any) -> None:
    await init_beanie(any_database, document_models=[Parcel])
    registry = Registry([Resource(Parcel)], Hooks(AuditTrail()))

    async def work(unit: Any) -> None:
        await registry["parcels"].create(Caller(), (), Parcel, unit)

    with pytest.raises(ConfigurationError, match="does not know AuditRecord"):
        await registry.run("parcels", work)
    assert await collection_of(Parcel).count_documents({}) == 0


@pytest.mark.usefixtures("no_trail")
async def test_once_it_is_added_writes_go_on(any_database: Any) -> None:
    await init_beanie(any_database, document_models=[Parcel])
    async with client_of(app_with(AuditTrail())) as client:
        with pytest.raises(ConfigurationError):
            await client.post("/parcels", json={})
        await init_beanie(any_database, document_models=[Parcel, AuditTrail.document])
        assert (await client.post("/parcels", json={})).status_code == 201
        assert await collection_of(AuditTrail.document).count_documents({}) == 1


class Preparing:
    @hookimpl
    async def prepare_change(self, change: Change[Parcel]) -> None:
        Unready()


class Validating:
    @hookimpl
    async def validate_change(self, change: Change[Parcel]) -> None:
        await Unready.find_one({})


class Recording:
    @hookimpl
    async def record_changes(self, changes: Sequence[Change[Any]], session: Any) -> None:
        await Unready().insert(session=session)


@pytest.mark.parametrize("plugin", [Preparing, Validating, Recording])
async def test_a_hook_with_a_document_that_nobody_knows_is_named(database: Any, plugin: type) -> None:
    await init_beanie(database, document_models=[Parcel])
    async with client_of(app_with(plugin())) as client:
        with pytest.raises(ConfigurationError, match=rf"plugin '{plugin.__name__}' uses in .* add it to the"):
            await client.post("/parcels", json={})
        assert await collection_of(Parcel).count_documents({}) == 0


async def test_a_resource_without_its_document_says_what_to_add(any_database: Any) -> None:
    await init_beanie(any_database, document_models=[Parcel])
    app = FastAPI()
    app.include_router(crud_router(Stranger))
    async with client_of(app) as client:
        for verb in ("GET", "POST"):
            with pytest.raises(ConfigurationError, match="does not know Stranger: add it to the `document_models`"):
                await client.request(verb, "/strangers", json={} if verb == "POST" else None)


async def test_repeats_need_no_document(database: Any) -> None:
    await init_beanie(database, document_models=[Parcel])
    async with client_of(app_with()) as client:
        answers = [await client.post("/parcels", json={}, headers={"idempotency-key": '"k"'}) for _ in range(2)]
        assert answers[0].content == answers[1].content
        assert answers[1].status_code == 201
