"""Secrets wherever a document may keep them: never shown, never lost, never mistaken for their mask."""

from typing import Annotated, Any

import pytest
from beanie import Document
from pydantic import BaseModel, SecretStr
from tests.resources.serving import created, served
from typing_extensions import TypeAliasType

from regesta import DeclarationError, Hooks, Resource, Secret
from regesta.audit import AuditTrail
from regesta.store import collection_of

Password = TypeAliasType("Password", Annotated[str, Secret])


class Vault(Document):
    name: str
    key: SecretStr = SecretStr("none")
    pin: Annotated[str, Secret] | None = None


class Lock(BaseModel):
    code: Annotated[str, Secret]


class Key(BaseModel):
    teeth: SecretStr


Aliased = TypeAliasType("Aliased", Key)


class Account(Document):
    name: str
    password: Password
    old_passwords: list[Password] = []
    hint: Password | None = None


async def test_secret_types_and_nested_annotations_are_hidden_and_kept(any_database: Any) -> None:
    async with served(any_database, Vault) as client:
        document = await created(client, "/vaults", {"name": "a", "key": "open sesame", "pin": "1234"})
        assert document == {"id": document["id"], "name": "a"}
        url = f"/vaults/{document['id']}"
        assert (await client.put(url, json={"name": "b"})).json() == {"id": document["id"], "name": "b"}
        assert (await client.merge(url, {"name": "c"})).json()["name"] == "c"
        stored = await collection_of(Vault).find_one({})
        assert (stored["key"], stored["pin"], stored["name"]) == ("open sesame", "1234", "c")
        assert (await client.get("/vaults?key=open+sesame")).status_code == 422


@pytest.mark.parametrize("inside", [Lock, list[Lock], dict[str, Lock] | None, Key, Aliased])
def test_a_marker_inside_of_a_model_is_refused_rather_than_ignored(inside: Any) -> None:
    door = type("Door", (Document,), {"__annotations__": {"lock": inside}, "__module__": __name__})
    with pytest.raises(DeclarationError, match="lock"):
        Resource(door)


async def test_a_marker_behind_an_alias_counts(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    sent = {"name": "a", "password": "open sesame", "old_passwords": ["sesame"], "hint": "seeds"}
    async with served(database, Account, hooks=hooks, also=[AuditTrail.document]) as client:
        document = await created(client, "/accounts", sent)
        assert document == {"id": document["id"], "name": "a"}
        assert (await client.get("/accounts")).json()["items"] == [document]
        assert (await client.get("/accounts?password=open+sesame")).status_code == 422
        (event,) = await collection_of(AuditTrail.document).find({}).to_list(None)
        assert "sesame" not in str(event)
        assert "seeds" not in str(event)
        assert "redacted" in str(event)
