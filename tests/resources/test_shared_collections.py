"""Classes that share a collection: each is served as itself, by every operation (`union_doc`, `is_root`)."""

import json
from datetime import datetime
from typing import Annotated, Any

import pytest
from beanie import Document, DocumentWithSoftDelete, Indexed, Link, PydanticObjectId, UnionDoc

from regesta import DeclarationError, Hooks, Parent, Resource, crud_router
from regesta.audit import AuditTrail
from regesta.service.plugins import documents
from regesta.store import collection_of

from .serving import created, pointers, served


class Entries(UnionDoc):
    class Settings:
        name = "entries"


class Post(Document):
    slug: Annotated[str, Indexed()]
    text: str = ""

    class Settings:
        name = "post"
        union_doc = Entries


class Poll(Document):
    slug: Annotated[str, Indexed()]
    question: str = ""

    class Settings:
        union_doc = Entries


class Blog(Document):
    slug: str


class Note(Document):
    blog: PydanticObjectId
    slug: Annotated[str, Indexed()]
    number: int = 0

    class Settings:
        name = "notes"
        union_doc = Entries


class Quote(Document):
    blog: PydanticObjectId
    slug: Annotated[str, Indexed()]

    class Settings:
        name = "quotes"
        union_doc = Entries


POSTS, POLLS = Resource(Post, key="slug"), Resource(Poll, key="slug")
ENTRIES: list[Any] = [Entries]
UNION: list[Any] = [Entries, Post, Poll]


async def fill() -> None:
    await Post(slug="p", text="a post").insert()
    await Poll(slug="q", question="a poll?").insert()


async def kept() -> list[str]:
    return sorted([raw["slug"] for raw in await collection_of(Post).find({}).to_list(None)])


async def test_a_list_has_documents_of_its_class_only(any_database: Any) -> None:
    async with served(any_database, POSTS, POLLS, also=UNION) as client:
        await fill()
        for url, own in (("/posts", "p"), ("/polls", "q")):
            listed = await client.get(url, headers={"prefer": "count=exact"})
            assert [item["slug"] for item in listed.json()["items"]] == [own]
            assert listed.json()["total"] == 1
            assert (await client.get(url, headers={"prefer": "count=estimated"})).json()["total"] == 1
            exported = await client.get(url, headers={"accept": "application/x-ndjson"})
            assert [json.loads(line)["slug"] for line in exported.text.splitlines()] == [own]
            facets = (await client.get(f"{url}:facets?by=slug")).json()["facets"]
            assert [(each["value"], each["count"]) for each in facets["slug"]] == [(own, 1)]


async def test_no_operation_reaches_a_document_of_the_other_class(any_database: Any) -> None:
    async with served(any_database, POSTS, POLLS, also=UNION) as client:
        await fill()
        for answer in (
            await client.get("/posts/q"),
            await client.head("/posts/q"),
            await client.put("/posts/q", json={"text": "x"}),
            await client.merge("/posts/q", {"text": "x"}),
            await client.operate("/posts/q", {"op": "replace", "path": "/text", "value": "x"}),
            await client.delete("/posts/q"),
            await client.get("/polls/p"),
            await client.delete("/polls/p"),
        ):
            assert answer.status_code == 404, answer.text
        items = [{"op": "delete", "key": "q"}, {"op": "patch", "key": "q", "body": {"text": "x"}}]
        batch = await client.post("/posts:batch", json={"atomic": False, "operations": items})
        assert [one["status"] for one in batch.json()["results"]] == [404, 404], batch.text
        assert await kept() == ["p", "q"]
        assert (await client.get("/polls/q")).json()["question"] == "a poll?"


async def test_a_new_document_says_of_which_class_it_is(any_database: Any) -> None:
    async with served(any_database, POSTS, POLLS, also=UNION) as client:
        await created(client, "/posts", {"slug": "a"})
        assert pointers(await client.post("/posts", json={"slug": "b", "_class_id": "Poll"})) == {"/_class_id"}
        assert (await client.put("/polls/a?allow_missing=true", json={"question": "b?"})).status_code == 201
        lines = await client.post(
            "/posts?on_conflict=replace",
            content=b'{"slug": "a", "text": "new"}\n{"slug": "c"}\n',
            headers={"content-type": "application/x-ndjson"},
        )
        assert [json.loads(line).get("status") for line in lines.text.splitlines()] == [200, 201, None]
        assert (await client.get("/polls/a")).json()["question"] == "b?"
        found = {(raw["slug"], raw["_class_id"]) for raw in await collection_of(Post).find({}).to_list(None)}
        assert found == {("a", "post"), ("a", "Poll"), ("c", "post")}


async def test_histories_and_reverts_know_their_class(database: Any) -> None:
    hooks = Hooks(AuditTrail())
    async with served(database, POSTS, POLLS, also=[*UNION, AuditTrail.document], hooks=hooks) as client:
        await created(client, "/polls", {"slug": "q", "question": "one?"})
        first = (await client.get("/polls/q")).headers["etag"]
        await client.merge("/polls/q", {"question": "two?"})
        assert (await client.get("/posts/q:history")).status_code == 404
        assert (await client.post("/posts/q:revert", json={"revision": first})).status_code == 404
        assert (await client.post("/polls/q:revert", json={"revision": first})).json()["question"] == "one?"


async def test_children_of_two_classes_are_kept_apart(database: Any) -> None:
    blogs = Resource(Blog, key="slug")
    notes = Resource(Note, key="slug", parent=Parent(resource=blogs, field="blog"))
    quotes = Resource(Quote, key="slug", parent=Parent(resource=blogs, field="blog", owned=True))
    async with served(database, blogs, notes, quotes, also=ENTRIES) as client:
        await client.post("/blogs", json={"slug": "b"})
        await client.post("/blogs/b/notes", json={"slug": "n"})
        await client.post("/blogs/b/quotes", json={"slug": "q"})
        assert [item["slug"] for item in (await client.get("/blogs/b/notes")).json()["items"]] == ["n"]
        assert (await client.delete("/blogs/b/quotes/n")).status_code == 404
        # The owned quotes would go; a note stands in the way.
        assert (await client.delete("/blogs/b")).status_code == 409
        assert (await client.delete("/blogs/b/notes/n")).status_code == 204
        assert (await client.delete("/blogs/b")).status_code == 204
        assert await collection_of(Note).count_documents({}) == 0


class Shelf(Document):
    post: Link[Post]


async def test_a_reference_is_followed_to_its_class_only(any_database: Any) -> None:
    shelves = Resource(Shelf)
    async with served(any_database, shelves, POSTS, POLLS, also=ENTRIES) as client:
        await fill()
        post, poll = await Post.find_one({"slug": "p"}), await Poll.find_one({"slug": "q"})
        assert post is not None
        assert poll is not None
        for found in (post, poll):
            await client.post("/shelfs", json={"post": str(found.id)})
        answered = await client.get("/shelfs?expand=post")
        assert answered.status_code == 200, answered.text
        shown = [item["post"] for item in answered.json()["items"]]
        assert shown[0]["text"] == "a post"
        assert shown[1] == str(poll.id)


class Kinds(UnionDoc):
    class Settings:
        name = "kinds"
        class_id = "kind"


class Red(Document):
    kind: str = "Red"
    name: str = ""

    class Settings:
        union_doc = Kinds
        class_id = "kind"


class Blue(Document):
    model_config = {"extra": "allow"}
    name: str = ""

    class Settings:
        union_doc = Kinds
        class_id = "kind"


KINDS: list[Any] = [Kinds]


async def test_the_field_of_the_class_is_the_servers(any_database: Any) -> None:
    async with served(any_database, Resource(Red), Resource(Blue), also=KINDS) as client:
        assert pointers(await client.post("/reds", json={"kind": "Blue"})) == {"/kind"}
        assert pointers(await client.post("/blues", json={"kind": "Red", "more": 1})) == {"/kind"}
        red = await created(client, "/reds", {"name": "r"})
        blue = await created(client, "/blues", {"name": "b", "more": 1})
        assert pointers(await client.merge(f"/reds/{red['id']}", {"kind": "Blue"})) == {"/kind"}
        assert pointers(await client.merge(f"/blues/{blue['id']}", {"kind": "Red"})) == {"/kind"}
        assert [item["name"] for item in (await client.get("/reds")).json()["items"]] == ["r"]
        assert [item["name"] for item in (await client.get("/blues")).json()["items"]] == ["b"]


class Vehicle(Document):
    plate: Annotated[str, Indexed()]

    class Settings:
        name = "vehicles"
        is_root = True


class Car(Vehicle):
    doors: int = 4


class Bike(Vehicle):
    gears: int = 1


class Trip(Document):
    car: PydanticObjectId | None = None
    plate: str = ""


async def test_children_stand_in_the_way_whichever_resource_deletes_their_parent(database: Any) -> None:
    vehicles, cars = Resource(Vehicle, key="plate"), Resource(Car, key="plate")
    trips = Resource(Trip, parent=Parent(resource=cars, field="car", copies={"plate": "plate"}))
    async with served(database, vehicles, cars, trips, also=[Bike]) as client:
        await client.post("/cars", json={"plate": "c"})
        await Bike(plate="b").insert()
        await Trip().insert()
        assert (await client.post("/cars/c/trips", json={})).status_code == 201
        refused = await client.delete("/vehicles/c")
        assert (refused.status_code, refused.json()["code"]) == (409, "HAS_CHILDREN")
        # What is no car has no trips, and takes none along that has no car.
        assert (await client.delete("/vehicles/b?cascade=true")).status_code == 204
        assert (await client.delete("/vehicles/c?cascade=true")).status_code == 204
        assert await collection_of(Trip).count_documents({}) == 1


class Plain(Document):
    class Settings:
        name = "plain"


class Derived(Plain):
    """It inherits the name of the collection, and says nowhere that it is another class."""

    more: int = 0


class Stranger(Document):
    class Settings:
        name = "plain"


class Loner(Document):
    class Settings:
        name = "vehicles"


class Outsider(Document):
    class Settings:
        name = "entries"


@pytest.mark.parametrize(
    ("one", "other"),
    [(Plain, Derived), (Plain, Stranger), (Vehicle, Loner), (Car, Loner), (Post, Outsider)],
)
def test_classes_that_cannot_be_told_apart_are_refused(one: Any, other: Any) -> None:
    with pytest.raises(DeclarationError, match=rf"(?s){one.__name__} and {other.__name__}.*is_root"):
        crud_router(Resource(one), Resource(other))


def test_views_of_the_same_documents_are_not_refused() -> None:
    crud_router(Resource(Plain), Resource(Plain, name="others", operations=["list"]))
    crud_router(Resource(Plain), Resource(Derived, operations=["list"]))
    crud_router(Resource(Plain, operations=["get"]), Resource(Derived))


class Gone(DocumentWithSoftDelete):
    title: str = ""
    at: datetime | None = None


@pytest.mark.parametrize("options", [{}, {"soft_delete": True}, {"operations": ["list"]}])
def test_beanies_soft_delete_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="DocumentWithSoftDelete cannot be served"):
        crud_router(Gone, **options)


class Pointer(Document):
    to: Link[Gone]


async def test_a_link_to_such_a_document_is_described(any_database: Any) -> None:
    async with served(any_database, Pointer, also=[Gone]) as client:
        assert (await client.get("/pointers:schema")).status_code == 200


def test_the_service_tells_beanie_of_the_union() -> None:
    assert documents([POSTS, POLLS]) == UNION
