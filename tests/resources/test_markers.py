"""ReadOnly, Immutable, WriteOnly, Secret."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from pydantic import BaseModel, Field, SecretStr, create_model
from typing_extensions import TypedDict

from regesta import DeclarationError, Hooks, Immutable, ReadOnly, Resource, Secret, WriteOnly, crud_router
from regesta.audit import AuditTrail
from regesta.store import collection_of

from .serving import created, keeps, pointers, served

HUSH, PIN = "hush-hush", "1234-pin"


class Account(Document):
    login: Annotated[str, Immutable]
    plan: Annotated[dict[str, int], Immutable] = {}
    since: Annotated[datetime, Immutable] = datetime(2024, 1, 1, tzinfo=UTC)
    made_at: Annotated[datetime, ReadOnly] = Field(default_factory=lambda: datetime.now(UTC))
    level: Annotated[int, ReadOnly] = 1
    password: Annotated[str, Secret]
    token: Annotated[str | None, Secret] = None
    keys: Annotated[dict[str, str], Secret, Field(alias="theKeys")] = {}
    pin: Annotated[str, WriteOnly] = "0000"
    note: str = ""
    notes: list[str] = []

    class Settings:
        name = "accounts"
        use_revision = True


GOOD = {"login": "l", "password": HUSH, "pin": PIN, "theKeys": {"a": HUSH}}
SHOWN = {"login": "l", "plan": {}, "since": "2024-01-01T00:00:00Z", "level": 1, "note": "", "notes": []}


async def test_secrets_are_in_no_answer(any_database: Any) -> None:
    async with served(any_database, Account) as client:
        document = await created(client, "/accounts", {**GOOD, "token": HUSH})
        assert document == {"id": document["id"], "made_at": document["made_at"], **SHOWN}
        url = f"/accounts/{document['id']}"
        answers = [
            await client.get(url),
            await client.get("/accounts"),
            await client.merge(url, {"note": "a", "password": HUSH}),
            await client.put(url, json={"login": "l", "password": HUSH}),
            await client.put(url, json={"login": "l", "password": 5, "token": [HUSH]}),
            await client.merge(url, {"password": {HUSH: PIN}}),
            await client.operate(url, {"op": "test", "path": "/password", "value": HUSH}),
            await client.operate(url, {"op": "replace", "path": "/password/x", "value": HUSH}),
        ]
        for answer in answers:
            assert answer.status_code < 500
            assert HUSH not in answer.text
            assert PIN not in answer.text


async def test_what_is_not_shown_stays_where_it_is_not_sent(any_database: Any) -> None:
    async with served(any_database, Account) as client:
        document = await created(client, "/accounts", {**GOOD, "token": "t"})
        url = f"/accounts/{document['id']}"
        collection = collection_of(Account)
        assert (await client.put(url, json={"login": "l", "note": "n"})).json() == {**document, "note": "n"}
        stored = await collection.find_one({})
        assert (stored["password"], stored["token"], stored["pin"], stored["theKeys"]) == (HUSH, "t", PIN, {"a": HUSH})
        assert (await client.put(url, json={"login": "l", "password": "p", "pin": "9"})).json() == {
            **document,
            "note": "",
        }
        stored = await collection.find_one({})
        assert (stored["password"], stored["token"], stored["pin"]) == ("p", "t", "9")
        await keeps(client, url, {"login": "l", "password": "p", "pin": "9", "note": ""})


async def test_a_patch_sets_and_removes_secrets(any_database: Any) -> None:
    async with served(any_database, Account) as client:
        document = await created(client, "/accounts", {**GOOD, "token": "t"})
        url = f"/accounts/{document['id']}"
        collection = collection_of(Account)
        changed = await client.merge(url, {"password": "q", "token": None, "theKeys": {"b": "c"}})
        assert changed.json() == document
        stored = await collection.find_one({})
        assert (stored["password"], stored["token"], stored["theKeys"]) == ("q", None, {"a": HUSH, "b": "c"})
        assert pointers(await client.merge(url, {"password": None})) == {"/password"}
        await client.operate(
            url, {"op": "replace", "path": "/password", "value": "r"}, {"op": "remove", "path": "/pin"}
        )
        stored = await collection.find_one({})
        assert (stored["password"], stored["pin"]) == ("r", "0000")


@pytest.mark.parametrize("path", ["/password", "/pin", "/theKeys", "/theKeys/a", "/token"])
async def test_a_json_patch_cannot_read_what_is_not_shown(any_database: Any, path: str) -> None:
    async with served(any_database, Account) as client:
        document = await created(client, "/accounts", GOOD)
        url = f"/accounts/{document['id']}"
        for operation, member in (
            ({"op": "test", "path": path, "value": HUSH}, "path"),
            ({"op": "copy", "from": path, "path": "/note"}, "from"),
            ({"op": "move", "from": path, "path": "/note"}, "from"),
            ({"op": "copy", "from": path, "path": "/notes/-"}, "from"),
        ):
            assert pointers(await client.operate(url, operation)) == {f"/0/{member}"}
            later = await client.operate(url, {"op": "add", "path": "/note", "value": ""}, operation)
            assert pointers(later) == {f"/1/{member}"}
        assert (await client.get(url)).json() == document


@pytest.mark.parametrize("field", ["password", "pin", "token", "theKeys"])
async def test_nobody_asks_for_what_is_not_shown(any_database: Any, field: str) -> None:
    with pytest.raises(DeclarationError):
        crud_router(Account, filters=[field])
    with pytest.raises(DeclarationError):
        crud_router(Account, sorts=[field])
    async with served(any_database, Account) as client:
        await created(client, "/accounts", GOOD)
        for query in (f"{field}={HUSH}", f"{field}__prefix=h", f"sort={field}", f"filter={field}%3D%22h%22"):
            assert (await client.get(f"/accounts?{query}")).status_code == 422


async def test_an_indexed_secret_is_not_filterable_and_its_duplicate_is_not_told(any_database: Any) -> None:
    class Token(Document):
        value: Annotated[str, Indexed(unique=True), Secret]

        class Settings:
            name = "tokens"

    async with served(any_database, Token) as client:
        assert (await client.post("/tokens", json={"value": HUSH})).status_code == 201
        assert (await client.get(f"/tokens?value={HUSH}")).status_code == 422
        again = await client.post("/tokens", json={"value": HUSH})
        assert again.status_code == 409
        assert HUSH not in again.text


async def test_secrets_are_redacted_in_audit_events(database: Any) -> None:
    trail = AuditTrail()
    async with served(
        database, Account, *trail.register_resources(), hooks=Hooks(trail), also=[AuditTrail.document]
    ) as client:
        document = await created(client, "/accounts", {**GOOD, "token": HUSH})
        url = f"/accounts/{document['id']}"
        await client.merge(url, {"password": "another-hush", "note": "n"})
        await client.merge(url, {"token": None})
        await client.delete(url)
        records = await collection_of(AuditTrail.document).find({}).to_list(None)
        assert len(records) == 4
        for text in (HUSH, "another-hush"):
            assert text not in str(records)
            assert text not in (await client.get("/audit-events")).text
        touched = [{change["path"] for change in record["changes"]} for record in records]
        assert "/password" in touched[1]
        assert "/token" in touched[2]


async def test_what_the_server_sets_is_refused(any_database: Any) -> None:
    async with served(any_database, Account) as client:
        body = {
            **GOOD,
            "made_at": "2000-01-01T00:00:00Z",
            "level": 1,
            "id": "65a000000000000000000001",
            "revision_id": None,
        }
        managed = {"/made_at", "/level", "/id", "/revision_id"}
        refused = await client.post("/accounts", json=body)
        assert pointers(refused) == managed
        assert {issue["type"] for issue in refused.json()["errors"]} == {"read_only"}
        document = await created(client, "/accounts", GOOD)
        url = f"/accounts/{document['id']}"
        assert pointers(await client.put(url, json=body)) == managed
        assert pointers(await client.merge(url, {"level": 2, "made_at": None})) == {"/level", "/made_at"}
        assert pointers(await client.operate(url, {"op": "replace", "path": "/level", "value": 2})) == {"/0/path"}
        assert pointers(await client.operate(url, {"op": "move", "from": "/level", "path": "/note"})) == {"/0/from"}
        assert (await client.put(url, json={"login": "l"})).json()["made_at"] == document["made_at"]


async def test_immutable_fields_keep_their_first_value(any_database: Any) -> None:
    async with served(any_database, Account) as client:
        document = await created(client, "/accounts", {**GOOD, "plan": {"a": 1}})
        url = f"/accounts/{document['id']}"
        for body in (
            {"login": "m"},
            {"plan": {"a": 2}},
            {"plan": {"b": 1}},
            {"plan": None},
            {"since": "2025-01-01T00:00:00Z"},
        ):
            assert pointers(await client.merge(url, body)) == {f"/{next(iter(body))}"}
        assert pointers(await client.put(url, json={"login": "m", "plan": {}})) == {"/login", "/plan"}
        same = {"login": "l", "plan": {"a": 1}, "since": "2024-01-01T01:00:00+01:00"}
        await keeps(client, url, same)
        assert (await client.put(url, json={**same, "note": "n"})).json() == {**document, "note": "n"}


def test_a_marker_on_a_child_counts_as_well() -> None:
    class Base(Document):
        a: Annotated[int, ReadOnly] = 0

    class Child(Base):
        b: Annotated[int, Secret] = 0

    resource = Resource(Child)
    assert {"a", "id"} <= resource.read_only
    assert "b" in resource.secret_fields


class Old(Document):
    code: Annotated[str, Immutable]
    note: Annotated[str | None, Immutable] = None
    n: int = 0

    class Settings:
        name = "olds"


async def test_an_immutable_field_that_an_old_document_lacks_is_set_once(any_database: Any) -> None:
    async with served(any_database, Old) as client:
        collection = collection_of(Old)
        key = (await collection.insert_one({"n": 1})).inserted_id
        url = f"/olds/{key}"
        assert (await client.merge(url, {"n": 2})).status_code == 422  # it is required now
        assert pointers(await client.merge(url, {"code": "a", "note": "late"})) == {"/note"}
        assert (await client.merge(url, {"code": "a", "n": 2})).json() == {
            "id": str(key),
            "code": "a",
            "note": None,
            "n": 2,
        }
        assert pointers(await client.merge(url, {"code": "b"})) == {"/code"}
        assert pointers(await client.put(url, json={"code": "b"})) == {"/code"}
        await collection.update_one({"_id": key}, {"$unset": {"code": ""}})
        assert (await client.put(url, json={"code": "c"})).json()["code"] == "c"
        await collection.update_one({"_id": key}, {"$unset": {"code": ""}})
        patched = await client.operate(url, {"op": "add", "path": "/code", "value": "d"})
        assert patched.json()["code"] == "d"


@dataclass
class MarkedMember:
    pin: Annotated[str, Secret]


class MarkedKey(TypedDict):
    pin: Annotated[str, ReadOnly]


class MaskedMember(BaseModel):
    pin: SecretStr


@pytest.mark.parametrize("inner", [MarkedMember, MarkedKey, MaskedMember, list[MarkedMember], dict[str, MarkedKey]])
def test_a_marker_means_nothing_below_the_document(inner: Any) -> None:
    document = create_model("Thing", __base__=Document, value=(inner, ...))
    with pytest.raises(DeclarationError, match=r"value\.pin: markers work on the document's own fields"):
        Resource(document)


class Vault(Document):
    token: SecretStr
    tokens: dict[str, SecretStr] = {}
    n: int = 0

    class Settings:
        name = "vaults"


async def test_a_patch_of_one_masked_secret_leaves_the_others(any_database: Any) -> None:
    async with served(any_database, Vault) as client:
        made = await created(client, "/vaults", {"token": HUSH, "tokens": {"a": HUSH, "b": PIN}})
        url = f"/vaults/{made['id']}"
        assert (await client.merge(url, {"tokens": {"a": "new"}})).status_code == 200
        assert (await client.operate(url, {"op": "add", "path": "/tokens/c", "value": "c"})).status_code == 200
        stored = await collection_of(Vault).find_one({})
        assert (stored["token"], stored["tokens"]) == (HUSH, {"a": "new", "b": PIN, "c": "c"})
