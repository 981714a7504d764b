"""`expand=`: documents in place of references, of those that the caller may see."""

from collections.abc import Mapping
from typing import Annotated, Any

import pytest
from beanie import Document, Link, PydanticObjectId
from fastapi import Depends, Header
from pydantic import BaseModel, Field

from regesta import DeclarationError, Forbidden, Hooks, Parent, Reference, Resource, Schemas, Secret, hookimpl
from regesta.change import Access
from regesta.store import collection_of

from .serving import Client, created, pointers, served

GONE = "65a000000000000000000001"


class City(Document):
    name: str


class House(Document):
    """A publishing house."""

    name: str
    city: Link[City] | None = None


class Writer(Document):
    name: str
    pin: Annotated[str, Secret] = "hidden"
    house: Link[House] | None = None
    friend: PydanticObjectId | None = None
    handle: str = Field(default="", alias="handleName")


class Nobody(Document):
    name: str


class Tale(Document):
    title: str
    author: Link[Writer] | None = None
    readers: list[Link[Writer]] = []
    editor: str | None = None
    sources: list[str] = []
    unserved: Link[Nobody] | None = None

    class Settings:
        use_revision = True


writers: Resource[Writer] = Resource(Writer, references={"friend": Writer})
houses: Resource[House] = Resource(House, key="name")
cities: Resource[City] = Resource(City)
tales: Resource[Tale] = Resource(
    Tale,
    references={
        "editor": Reference(resource=houses, stores="name"),
        "sources": Reference(resource=houses, stores="name"),
    },
)
ALL = (tales, writers, houses, cities)
ALSO = [Nobody]


async def filled(client: Client) -> dict[str, Any]:
    city = await created(client, "/cities", {"name": "c"})
    house = await created(client, "/houses", {"name": "h", "city": city["id"]})
    friend = await created(client, "/writers", {"name": "f"})
    writer = await created(client, "/writers", {"name": "w", "house": house["id"], "friend": friend["id"], "pin": "1"})
    tale = await created(
        client, "/tales",
        {"title": "t", "author": writer["id"], "readers": [friend["id"], GONE, writer["id"]], "editor": "h",
         "sources": ["h", "none"]},
    )  # fmt: skip
    return {"city": city, "house": house, "friend": friend, "writer": writer, "tale": tale}


async def test_one_level(any_database: Any) -> None:
    async with served(any_database, *ALL, also=ALSO) as client:
        made = await filled(client)
        url = f"/tales/{made['tale']['id']}"
        shown = (await client.get(f"{url}?expand=author")).json()
        assert shown == {**made["tale"], "author": made["writer"]}
        assert "pin" not in shown["author"]
        assert shown["author"]["handleName"] == ""
        everything = (await client.get(f"{url}?expand=author,readers,editor,sources")).json()
        assert everything == {
            **made["tale"], "author": made["writer"], "readers": [made["friend"], GONE, made["writer"]],
            "editor": made["house"], "sources": [made["house"], "none"],
        }  # fmt: skip
        listed = (await client.get("/tales?expand=readers,editor&include=etag")).json()
        assert listed["items"] == [{**everything, "author": made["writer"]["id"], "sources": ["h", "none"]}]
        assert listed["etags"] == [(await client.get(url)).headers["etag"]]


async def test_three_levels_and_no_more(any_database: Any) -> None:
    async with served(any_database, *ALL, also=ALSO) as client:
        made = await filled(client)
        url = f"/tales/{made['tale']['id']}"
        house = {**made["house"], "city": made["city"]}
        shown = (await client.get(f"{url}?expand=author.house.city,author.friend,readers.house")).json()
        assert shown["author"] == {**made["writer"], "house": house, "friend": made["friend"]}
        assert shown["readers"] == [made["friend"], GONE, {**made["writer"], "house": made["house"]}]
        for wrong in ("", "title", "author.", "author.name", "author.friend.friend.friend", "unserved", "pin", "id"):
            assert pointers(await client.get(url, params={"expand": wrong})) == {""}
            assert pointers(await client.get("/tales", params={"expand": wrong})) == {""}


async def test_what_is_gone_stays_a_reference(any_database: Any) -> None:
    async with served(any_database, *ALL, also=ALSO) as client:
        tale = await created(client, "/tales", {"title": "t", "author": GONE, "editor": "gone"})
        assert (await client.get(f"/tales/{tale['id']}?expand=author,editor,readers")).json() == tale
        # of another collection, with an id that this one has
        house = await created(client, "/houses", {"name": "h"})
        await collection_of(Tale).update_one({}, {"$set": {"editor": {"not": "a name"}}})
        shown = (await client.get("/tales?expand=editor")).json()["items"][0]
        assert shown["editor"] == {"not": "a name"}
        assert house["name"] == "h"


async def test_fields_choose_first(any_database: Any) -> None:
    async with served(any_database, *ALL, also=ALSO) as client:
        made = await filled(client)
        for url in (f"/tales/{made['tale']['id']}", "/tales"):
            answer = (await client.get(f"{url}?fields=title,author&expand=author,editor")).json()
            shown = answer["items"][0] if "items" in answer else answer
            assert shown == {"id": made["tale"]["id"], "title": "t", "author": made["writer"]}


async def test_an_expanded_answer_has_no_etag(any_database: Any) -> None:
    async with served(any_database, *ALL, also=ALSO) as client:
        made = await filled(client)
        url = f"/tales/{made['tale']['id']}"
        tag = (await client.get(url)).headers["etag"]
        answer = await client.get(f"{url}?expand=author", headers={"if-none-match": tag})
        assert answer.status_code == 200
        assert "etag" not in answer.headers
        assert (await client.get(url, headers={"if-none-match": tag})).status_code == 304


async def test_one_query_for_each_level_and_reference(database: Any) -> None:
    async with served(database, *ALL, also=ALSO) as client:
        made = await filled(client)
        for number in range(40):
            writer = await created(client, "/writers", {"name": f"w{number}", "house": made["house"]["id"]})
            await client.post("/tales", json={"title": "t", "author": writer["id"], "readers": [made["friend"]["id"]]})
        await database.command({"profile": 2})
        answer = await client.get("/tales?expand=author.house,readers")
        await database.command({"profile": 0})
        assert len(answer.json()["items"]) == 41
        assert all(item["author"]["house"]["name"] == "h" for item in answer.json()["items"])
        asked = [one["command"]["find"] async for one in database["system.profile"].find({"op": "query"})]
        assert sorted(asked) == ["House", "Tale", "Writer", "Writer"]


async def test_only_of_what_is_served_with_it(any_database: Any) -> None:
    async with served(any_database, tales, also=[Writer, House, City, Nobody]) as client:
        assert (await client.get("/tales?expand=author")).status_code == 422
        assert (await client.get("/tales:schema")).json()["expand"] == []
    twice = Resource(Writer, name="authors", singular="author")
    async with served(any_database, tales, writers, twice, also=[House, City, Nobody]) as client:
        assert (await client.get("/tales?expand=author")).status_code == 422  # which of them?
    said = Resource(Tale, references={"author": twice})
    async with served(any_database, said, writers, twice, also=[House, City, Nobody]) as client:
        assert (await client.get("/tales?expand=author")).status_code == 200


def team_of(x_team: str = Header()) -> Mapping[str, str]:
    return {"team": x_team}


def other_team_of(x_other: str = Header()) -> Mapping[str, str]:
    return {"team": x_other}


def admin_only() -> None:
    raise Forbidden("no")


class Owner(Document):
    team: str = ""
    name: str
    level: int = 1


class OwnerRead(BaseModel):
    name: str


class Thing(Document):
    team: str = ""
    owner: Link[Owner] | None = None
    by: str = ""


@pytest.mark.parametrize(
    "guarded",
    [
        {"scope": other_team_of},
        {"actor": lambda: "somebody"},
        {"dependencies": [Depends(admin_only)]},
        {"operation_dependencies": {"list": [Depends(admin_only)]}},
        {"operations": ["get"]},
    ],
)
async def test_what_other_checks_guard_cannot_be_expanded(any_database: Any, guarded: Any) -> None:
    owners: Resource[Owner] = Resource(Owner, **{"scope": team_of, **guarded})
    things: Resource[Thing] = Resource(Thing, scope=team_of)
    async with served(any_database, things, owners) as client:
        answer = await client.get("/things?expand=owner", headers={"x-team": "a"})
        assert answer.json()["errors"][0]["type"] == "unknown_parameter"


async def test_what_hangs_below_a_parent_cannot_be_expanded(any_database: Any) -> None:
    above = Resource(City, key="name")
    below = Resource(Owner, parent=Parent(resource=above, field="team", stores="name"))
    async with served(any_database, Resource(Thing), above, below) as client:
        assert (await client.get("/things?expand=owner")).status_code == 422


async def test_what_is_out_of_sight_stays_a_reference(any_database: Any) -> None:
    refusing: set[str] = set()

    class Guard:
        @hookimpl
        def authorize(self, request: Access) -> None:
            if request.resource in refusing:
                assert (request.operation, request.key) == ("list", None)
                raise Forbidden("no")

        @hookimpl
        def scope_query(self, request: Access) -> dict[str, Any]:
            return {"level": 1} if request.resource == "owners" else {}

    owners: Resource[Owner] = Resource(Owner, scope=team_of)
    by_name: Resource[Thing] = Resource(Thing, scope=team_of, references={"by": Reference(resource=owners)})
    async with served(any_database, by_name, owners, hooks=Hooks(Guard())) as client:
        mine, other, high = Owner(team="a", name="m"), Owner(team="b", name="o"), Owner(team="a", name="h", level=2)
        for owner in (mine, other, high):
            await owner.insert()
            await Thing(team="a", owner=owner).insert()
        client.headers["x-team"] = "a"
        items = (await client.get("/things?expand=owner")).json()["items"]
        assert [item["owner"] if isinstance(item["owner"], str) else item["owner"]["name"] for item in items] == [
            "m", str(other.id), str(high.id),
        ]  # fmt: skip
        refusing.add("owners")
        items = (await client.get("/things?expand=owner")).json()["items"]
        assert [item["owner"] for item in items] == [str(mine.id), str(other.id), str(high.id)]


async def test_the_answers_of_the_other_resource_are_its_own(any_database: Any) -> None:
    owners: Resource[Owner] = Resource(Owner, schemas=Schemas(read=OwnerRead))
    async with served(any_database, Resource(Thing), owners) as client:
        owner = Owner(name="m")
        await owner.insert()
        await Thing(owner=owner).insert()
        assert (await client.get("/things?expand=owner")).json()["items"][0]["owner"] == {"name": "m"}


async def test_too_many_references(memory_database: Any) -> None:
    async with served(memory_database, *ALL, also=ALSO) as client:
        await collection_of(Tale).insert_many([{"title": "t", "sources": ["h"] * 4000} for _ in range(3)])
        assert pointers(await client.get("/tales?expand=sources")) == {""}
        assert (await client.get("/tales?expand=sources&page_size=2")).status_code == 200


async def test_it_is_declared_in_openapi(memory_database: Any) -> None:
    async with served(memory_database, *ALL, also=ALSO) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        for path in ("/tales", "/tales/{tale}"):
            shown = paths[path]["get"]
            (parameter,) = (one for one in shown["parameters"] if one["name"] == "expand")
            assert "author.house.city" in parameter["description"]
            assert "references are objects" in shown["responses"]["200"]["description"]
        assert "author.friend.house" in (await client.get("/tales:schema")).json()["expand"]


@pytest.mark.parametrize(
    "references", [{"nothing": houses}, {"editor": "houses"}, {"editor": Reference(resource=houses, stores="city")}]
)
def test_wrong_declarations(references: Any) -> None:
    with pytest.raises(DeclarationError, match="references"):
        Resource(Tale, references=references)
