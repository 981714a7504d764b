"""Aliases of keys: texts that reads take in a path in place of a key."""

from datetime import datetime
from typing import Annotated, Any

import pytest
from beanie import Document
from fastapi import Header

from regesta import Access, DeclarationError, Forbidden, Hooks, KeyAlias, Parent, Resource, hookimpl

from .serving import served


class Journal(Document):
    name: str
    team: str = ""
    deleted_at: datetime | None = None

    class Settings:
        name = "journals"


class Issue(Document):
    journal: str
    number: int = 0
    team: str = ""
    cover: str = ""
    deleted_at: datetime | None = None

    class Settings:
        name = "issues"
        use_revision = True


class Letter(Document):
    issue: int
    text: str
    team: str = ""

    class Settings:
        name = "letters"


def team(x_team: Annotated[str, Header()] = "red") -> dict[str, str]:
    return {"team": x_team}


NEWEST = KeyAlias(pattern="newest|2", description="`newest` has the highest number.", sort=[("number", -1)])
COVER = KeyAlias(pattern="~[a-z]+", description="`~red`: the one in red.", where=lambda text: {"cover": text[1:]})
JOURNALS = Resource(Journal, key="name", scope=team, soft_delete=True)
ISSUES = Resource(
    Issue,
    key="number",
    key_aliases=[NEWEST, COVER],
    parent=Parent(resource=JOURNALS, field="journal", stores="name", sequence="number"),
    scope=team,
    soft_delete=True,
)
LETTERS = Resource(Letter, parent=Parent(resource=ISSUES, field="issue", stores="number"), scope=team)
ALL = (JOURNALS, ISSUES, LETTERS)


async def filled(client: Any) -> None:
    for name, covers in (("a", ("blue", "red", "green")), ("b", ("red",))):
        assert (await client.post("/journals", json={"name": name})).status_code == 201
        for cover in covers:
            answer = await client.post(f"/journals/{name}/issues", json={"cover": cover})
            assert answer.status_code == 201, answer.text


async def test_reads_follow_an_alias_below_its_parent(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await filled(client)
        for path, number in (
            ("a/issues/newest", 3),
            ("a/issues/~red", 2),
            ("b/issues/~red", 1),
            ("b/issues/newest", 1),
        ):
            answer = await client.get(f"/journals/{path}")
            assert (answer.status_code, answer.json()["number"]) == (200, number)
            assert answer.headers["content-location"] == f"/journals/{path[:8]}/{number}"
        assert (await client.get("/journals/a/issues/~pink")).status_code == 404
        for text in ("newest1", "anewest", "~red1"):  # which only begin or end as an alias
            assert (await client.get(f"/journals/a/issues/{text}")).status_code == 422


async def test_a_key_is_never_taken_for_an_alias(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await filled(client)
        answer = await client.get("/journals/a/issues/2")
        assert (answer.json()["number"], "content-location" in answer.headers) == (2, False)


async def test_the_scope_holds_for_what_an_alias_finds(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await filled(client)
        blue = {"X-Team": "blue"}
        assert (await client.get("/journals/a/issues/newest", headers=blue)).status_code == 404
        await any_database["issues"].update_one({"journal": "a", "number": 3}, {"$set": {"team": "blue"}})
        assert (await client.get("/journals/a/issues/newest")).json()["number"] == 2


async def test_what_is_deleted_has_no_alias(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await filled(client)
        assert (await client.delete("/journals/a/issues/3")).status_code == 204
        assert (await client.get("/journals/a/issues/newest")).json()["number"] == 2
        refused = await client.post("/journals/a/issues/newest:restore")
        assert (refused.status_code, refused.json()["errors"][0]["type"]) == (422, "alias")


class Guard:
    """Keeps issue 3 from everybody, and remembers what it was asked."""

    name = "guard"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    @hookimpl
    def authorize(self, request: Access) -> None:
        self.asked.append((request.operation, request.key))
        if request.resource == "issues" and request.key == "3":
            raise Forbidden("not this one")


async def test_hooks_are_asked_about_the_key_that_an_alias_stands_for(any_database: Any) -> None:
    guard = Guard()
    async with served(any_database, *ALL, hooks=Hooks(guard)) as client:
        await filled(client)
        guard.asked.clear()
        assert (await client.get("/journals/a/issues/newest")).status_code == 403
        assert (await client.get("/journals/a/issues/~red")).status_code == 200
        assert (await client.get("/journals/a/issues/newest/letters")).status_code == 200
        assert guard.asked == [("get", "newest"), ("get", "3"), ("get", "~red"), ("get", "2"), ("list", None)]


def test_keys_that_are_texts_have_no_aliases() -> None:
    with pytest.raises(DeclarationError, match="the key 'name' is text"):
        Resource(Journal, key="name", key_aliases=[NEWEST])


def test_a_pattern_is_a_regular_expression() -> None:
    with pytest.raises(DeclarationError, match=r"pattern '\('"):
        KeyAlias(pattern="(", description="")
