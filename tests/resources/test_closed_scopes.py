"""A scope never fails open: what it names is there, or the resource, or the request, is refused."""

from typing import Annotated, Any

import pytest
from beanie import Document, PydanticObjectId
from fastapi import Header
from pydantic import Field

from regesta import Caller, DeclarationError, Hooks, Parent, Reference, Registry, Resource, crud_router, hookimpl
from regesta.store import collection_of
from regesta.workspaces import Workspaced, workspace_scope

from .serving import created, served


class Plain(Document):
    name: str = ""
    team: str = Field(default="", alias="teamName")


class Owned(Workspaced):
    name: str = ""


class Leaf(Document):
    """It has no workspace, and is found below an `Owned` only."""

    above: PydanticObjectId | None = None
    name: str = ""


class ByName(Document):
    above: str = ""


OWNED = Resource(Owned, scope=workspace_scope)


def team(x_team: Annotated[str, Header()] = "a") -> dict[str, Any]:
    return {"team": x_team}


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (lambda: Resource(Plain, scope=workspace_scope), r"'plains'.*\['workspace'\], which Plain does not have"),
        (lambda: Resource(Plain, scope_fields=["tenant"]), r"scope_fields: \['tenant'\] are no fields"),
        (lambda: Resource(Owned), r"'owneds': Owned belongs to a workspace, so it needs scope=workspace_scope"),
        (lambda: Resource(Owned, shared=True, scope=workspace_scope), "shared=True and a scope exclude each other"),
        (
            lambda: Resource(Leaf, shared=True, parent=Parent(resource=OWNED, field="above")),
            "shared=True and a scope exclude each other",
        ),
        (
            lambda: Resource(ByName, parent=Parent(resource=OWNED, field="above", stores="name")),
            r"\['workspace'\], which ByName does not have",
        ),
        (lambda: crud_router(Owned), "belongs to a workspace"),
        (lambda: crud_router(Plain, scope=workspace_scope), "which Plain does not have"),
    ],
)
def test_what_is_known_is_refused_when_it_is_declared(declared: Any, said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        declared()


def test_without_a_scope_a_router_mounts_as_before() -> None:
    crud_router(Plain)
    crud_router(Owned, shared=True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"tenant": "a"}, "the scope of 'plains' sets 'tenant', which is no field of Plain: add the field"),
        ({"teamName": "a"}, "sets 'teamName', which is no field of Plain; the field of that alias is 'team'"),
        ({"name.first": "a"}, "sets 'name.first', which is no field of Plain"),
        ({"team": None}, "sets 'team' to None, which the field does not take"),
        ({"team": ["a"]}, "sets 'team' to a list, which the field does not take"),
        (None, "the scope of 'plains' must answer a mapping, not NoneType"),
        ("a", "the scope of 'plains' must answer a mapping, not str"),
    ],
)
async def test_any_other_scope_is_refused_at_its_first_request(any_database: Any, answer: Any, said: str) -> None:
    resource = Resource(Plain, scope=lambda: answer)
    async with served(any_database, resource, Resource(Leaf, name="leaves")) as client:
        await Plain(name="secret", teamName="b").insert()
        for verb, url in (
            ("GET", "/plains"),
            ("GET", "/plains:schema"),
            ("POST", "/plains"),
            ("POST", "/plains:batch"),
        ):
            with pytest.raises(DeclarationError) as raised:
                await client.request(verb, url, json={} if verb == "POST" else None)
            assert said in str(raised.value)
            assert "secret" not in str(raised.value)
        assert await collection_of(Plain).count_documents({}) == 1


@pytest.mark.parametrize("answer", [{"team": {}}, {"team": {"$in": []}}, {"team": {"$in": ["x"]}}, {"team": "x"}])
async def test_a_scope_of_nothing_shows_nothing(any_database: Any, answer: Any) -> None:
    async with served(any_database, Resource(Plain, scope=lambda: answer)) as client:
        await Plain(name="secret", teamName="b").insert()
        assert (await client.get("/plains")).json()["items"] == []


def nothing() -> dict[str, Any]:
    return {}


async def test_scope_fields_have_to_be_set(any_database: Any) -> None:
    async with served(any_database, Resource(Plain, scope=nothing, scope_fields=["team"])) as client:
        with pytest.raises(DeclarationError, match="the scope of 'plains' must set 'team'"):
            await client.get("/plains")


class Tenants:
    """A plugin that scopes every resource."""

    @hookimpl
    def scope_query(self) -> dict[str, Any]:
        return {"tenant": "a"}


async def test_a_hook_that_names_a_missing_field_is_refused(any_database: Any) -> None:
    async with served(any_database, Plain, hooks=Hooks(Tenants())) as client:
        await Plain(name="secret").insert()
        with pytest.raises(DeclarationError, match="the scope of 'plains' sets 'tenant', which is no field"):
            await client.get("/plains")
    async with served(any_database, Resource(Plain, shared=True), hooks=Hooks(Tenants())) as client:
        assert [item["name"] for item in (await client.get("/plains")).json()["items"]] == ["secret"]


async def test_what_hangs_below_the_id_of_a_parent_is_behind_its_wall(any_database: Any) -> None:
    leaves = Resource(Leaf, name="leaves", parent=Parent(resource=OWNED, field="above"))
    async with served(any_database, OWNED, leaves) as client:
        above = await created(client, "/owneds", {"name": "x"})
        url = f"/owneds/{above['id']}/leaves"
        leaf = await created(client, url, {"name": "l"})
        other = {"x-regesta-workspace": "b"}
        for answer in (
            await client.get(url, headers=other),
            await client.get(f"{url}/{leaf['id']}", headers=other),
            await client.post(url, json={"name": "m"}, headers=other),
            await client.delete(f"{url}/{leaf['id']}", headers=other),
        ):
            assert answer.status_code == 404


async def test_a_program_that_forgets_the_scope_is_refused(any_database: Any) -> None:
    registry = Registry([OWNED])
    async with served(any_database, OWNED):
        for scope in ({}, {"tenant": "a"}, {"tenant": "a", "workspace": "b"}):
            caller = Caller(scope=scope)
            with pytest.raises(DeclarationError, match="the scope of 'owneds'"):
                await registry["owneds"].find_where(caller, (), {})
            with pytest.raises(DeclarationError, match="the scope of 'owneds'"):
                await registry["owneds"].create(caller, (), Owned)
        found = await registry["owneds"].find_where(Caller(scope={"workspace": "b"}), (), {"workspace": "a"})
        assert found is None


class Mover:
    """A plugin that puts documents elsewhere, by mistake."""

    @hookimpl
    def prepare_change(self, change: Any) -> None:
        if change.after is not None:
            change.after.workspace = "victim"


async def test_a_hook_moves_no_document_into_another_workspace(any_database: Any) -> None:
    async with served(any_database, OWNED, hooks=Hooks(Mover())) as client:
        made = await client.post("/owneds", json={"name": "x"})
        assert made.json()["workspace"] == "default"
        changed = await client.merge(f"/owneds/{made.json()['id']}", {"name": "y"})
        assert (changed.json()["workspace"], changed.json()["name"]) == ("default", "y")


class Pointing(Workspaced):
    to: PydanticObjectId | None = None


async def test_an_expanded_reference_is_behind_the_same_wall(any_database: Any) -> None:
    pointing = Resource(Pointing, scope=workspace_scope, references={"to": Reference(resource=OWNED)})
    async with served(any_database, pointing, OWNED) as client:
        secret = await Owned(workspace="b", name="secret").insert()
        await client.post("/pointings", json={"to": str(secret.id)})
        assert [item["to"] for item in (await client.get("/pointings?expand=to")).json()["items"]] == [str(secret.id)]
