"""`q=`: MongoDB's text search, beside filters, scope and pages."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pytest
from beanie import Document, Indexed
from fastapi import Header
from pymongo import TEXT

from regesta import DeclarationError, Resource, Secret
from regesta.store import collection_of

from .serving import Client, pointers, served


class Paper(Document):
    title: str
    year: Annotated[int, Indexed()] = 2000
    text: str = ""

    class Settings:
        indexes: ClassVar = [[("title", TEXT), ("text", TEXT)]]


PAPERS: list[dict[str, Any]] = [
    {"title": "Blue whales", "text": "They sing in the sea", "year": 1990},
    {"title": "Whales and ships", "text": "A collision", "year": 2001},
    {"title": "Ships", "text": "made of blue steel", "year": 1990},
    {"title": "$where", "text": "nothing", "year": 1990},
]


async def found(client: Client, path: str = "/papers", **asked: str) -> set[str]:
    answer = await client.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return {item["title"] for item in answer.json()["items"]}


async def test_words_phrases_and_what_is_left_out(database: Any) -> None:
    async with served(database, Paper, filters=["year"]) as client:
        await collection_of(Paper).insert_many([dict(one) for one in PAPERS])
        assert await found(client, q="whale") == {"Blue whales", "Whales and ships"}
        assert await found(client, q="whales steel") == {"Blue whales", "Whales and ships", "Ships"}
        assert await found(client, q="whales -ships") == {"Blue whales"}
        assert await found(client, q='"blue steel"') == {"Ships"}
        assert await found(client, q="whale", year="1990") == {"Blue whales"}
        assert await found(client, q="blue", filter="year = 2001 OR year = 1990") == {"Blue whales", "Ships"}
        # nothing in it is ever an operator
        assert await found(client, q='{"$where": "1"}') == set()
        assert await found(client, q='{"$ne": ""}') == set()
        assert await found(client, q=" ") == set()
        counted = await client.get("/papers?q=whale", headers={"prefer": "count=exact"})
        assert counted.json()["total"] == 2


async def test_facets_of_what_is_found(database: Any) -> None:
    async with served(database, Paper, filters=["year"]) as client:
        await collection_of(Paper).insert_many([dict(one) for one in PAPERS])
        answer = await client.get("/papers:facets?by=year&q=ships")
        assert answer.json()["facets"] == {"year": [{"value": 1990, "count": 1}, {"value": 2001, "count": 1}]}


async def test_pages_are_of_one_search(database: Any) -> None:
    async with served(database, Paper, sorts=["year"]) as client:
        await collection_of(Paper).insert_many([{"title": f"whale {n}", "year": n % 7} for n in range(50)])
        seen: list[str] = []
        asked = {"q": "whale", "sort": "-year", "page_size": "8"}
        while True:
            page = (await client.get("/papers", params=asked)).json()
            seen += [item["title"] for item in page["items"]]
            if "next_page_token" not in page:
                break
            asked["page_token"] = page["next_page_token"]
        assert len(seen) == len(set(seen)) == 50
        for other in ({"q": "ships"}, {}):
            answer = await client.get("/papers", params={"sort": "-year", **other, "page_token": asked["page_token"]})
            assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_PAGE_TOKEN")


async def test_what_is_refused(database: Any) -> None:
    async with served(database, Paper) as client:
        for wrong in ("q=", f"q={'a' * 257}", "q=a%00b", "q=a&q=b", "q[$search]=a"):
            assert pointers(await client.get(f"/papers?{wrong}")) == {""}
        assert (await client.get("/papers", params={"q": "ü" * 256})).status_code == 200


class Plain(Document):
    title: Annotated[str, Indexed()]


class Locked(Document):
    title: str
    pin: Annotated[str, Secret] = ""

    class Settings:
        indexes: ClassVar = [[("title", TEXT), ("pin", TEXT)]]


class Everything(Document):
    title: str

    class Settings:
        indexes: ClassVar = [[("$**", TEXT)]]


async def test_only_where_a_text_index_shows_what_clients_may_see(database: Any) -> None:
    async with served(database, Resource(Plain), Resource(Locked), Resource(Everything)) as client:
        for name in ("plains", "lockeds", "everythings"):
            answer = await client.get(f"/{name}?q=a")
            assert answer.json()["errors"][0]["type"] == "unknown_parameter"
            assert not (await client.get(f"/{name}:schema")).json()["q"]["available"]


class Short(Document):
    title: Annotated[str, Indexed(index_type=TEXT)]


async def test_an_indexed_field_of_text(database: Any) -> None:
    async with served(database, Short) as client:
        await collection_of(Short).insert_one({"title": "whales"})
        assert await found(client, "/shorts", q="whale") == {"whales"}


async def test_in_memory_it_is_501(memory_database: Any) -> None:
    async with served(memory_database, Paper) as client:
        for path in ("/papers?q=a", "/papers:facets?by=year&q=a"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (501, "TEXT_SEARCH_UNSUPPORTED")


class Page(Document):
    team: str
    kind: str = "k"
    title: str

    class Settings:
        indexes: ClassVar = [[("team", 1), ("kind", 1), ("title", TEXT)]]


def team_of(x_team: str = Header()) -> Mapping[str, str]:
    return {"team": x_team}


async def test_behind_the_scope(database: Any) -> None:
    async with served(database, Page, scope=team_of, filters=["kind"]) as client:
        await collection_of(Page).insert_many(
            [{"team": team, "kind": "k", "title": f"whale of {team}"} for team in ("a", "b")]
        )
        client.headers["x-team"] = "a"
        assert await found(client, "/pages", q="whale", kind="k") == {"whale of a"}
        assert await found(client, "/pages", q="whale", kind="k", filter="kind = k") == {"whale of a"}
        # MongoDB wants an equality on everything before the text
        refused = await client.get("/pages?q=whale")
        assert refused.status_code == 422
        assert "needs kind=... beside it" in refused.text
        assert (await client.get("/pages?q=whale&kind__in=k")).status_code == 422


async def test_a_scope_that_sets_less_than_was_declared_is_a_mistake(database: Any) -> None:
    def nothing() -> Mapping[str, str]:
        return {}

    async with served(database, Page, scope=nothing, indexed_only=True, scope_fields=["team"]) as client:
        with pytest.raises(DeclarationError, match="must set 'team'"):
            await client.get("/pages")
