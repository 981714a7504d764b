"""Links are sent and answered as the id of what they point to; back links are left out."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from beanie import BackLink, Document, Link
from beanie.odm.fields import WriteRules
from bson import DBRef
from pydantic import BaseModel, Field, RootModel, computed_field, create_model

from regesta import DeclarationError, Immutable, Resource, Schemas, crud_router
from regesta.store import collection_of

from .serving import created, keeps, pointers, served

MISSING = "65a000000000000000000001"


class Author(Document):
    name: str
    books: list[BackLink["Novel"]] = Field(default=[], json_schema_extra={"original_field": "author"})

    class Settings:
        name = "authors"


class Publisher(Document):
    id: UUID = Field(default_factory=uuid4)  # type: ignore[assignment]
    city: str

    class Settings:
        name = "publishers"


class Novel(Document):
    title: str
    author: Link[Author]
    editor: Link[Author] | None = None
    readers: list[Link[Author]] = []
    publisher: Annotated[Link[Publisher] | None, Immutable] = None

    class Settings:
        name = "novels"
        use_revision = True


Author.model_rebuild()


async def test_a_link_is_an_id_on_the_wire(any_database: Any) -> None:
    async with served(any_database, Novel, also=[Author, Publisher]) as client:
        author, publisher = Author(name="a"), Publisher(city="c")
        await author.insert()
        await publisher.insert()
        body = {
            "title": "t", "author": str(author.id), "editor": None,
            "readers": [str(author.id), MISSING], "publisher": str(publisher.id),
        }  # fmt: skip
        document = await created(client, "/novels", body)
        assert document == {"id": document["id"], **body}
        shown = (await client.get("/novels:schema")).json()["schemas"]["create"]["properties"]
        one = shown["author"]
        assert shown["editor"]["anyOf"] == [one, {"type": "null"}]
        assert (shown["readers"]["type"], shown["readers"]["items"]) == ("array", one)
        assert "anyOf" not in one
        url = f"/novels/{document['id']}"
        await keeps(client, url, {name: value for name, value in body.items() if value is not None})
        changed = await client.merge(url, {"editor": MISSING, "readers": [MISSING]})
        assert changed.json() == {**document, "editor": MISSING, "readers": [MISSING]}
        appended = await client.operate(url, {"op": "add", "path": "/readers/0", "value": str(author.id)})
        assert appended.json()["readers"] == [str(author.id), MISSING]
        assert (await client.merge(url, {"editor": None})).json()["editor"] is None
        assert pointers(await client.merge(url, {"publisher": str(uuid4())})) == {"/publisher"}


async def test_a_link_is_a_reference_in_mongodb(database: Any) -> None:
    async with served(database, Novel, also=[Author, Publisher]) as client:
        author = Author(name="a")
        await author.insert()
        await created(client, "/novels", {"title": "t", "author": str(author.id), "readers": [str(author.id)]})
        stored = await collection_of(Novel).find_one({})
        assert stored["author"] == DBRef("authors", author.id)
        assert stored["readers"] == [DBRef("authors", author.id)]
        novel = await Novel.find_one(fetch_links=True)
        assert novel is not None
        assert novel.author.name == "a"  # type: ignore[attr-defined]


async def test_what_is_no_id_is_refused(any_database: Any) -> None:
    async with served(any_database, Novel, also=[Author, Publisher]) as client:
        for wrong in ("x", 1, None, {"id": MISSING, "collection": "authors"}, {"name": "new"}, [MISSING]):
            assert pointers(await client.post("/novels", json={"title": "t", "author": wrong})) == {"/author"}
        body = {"title": "t", "author": MISSING, "readers": [MISSING, "x"], "publisher": MISSING}
        assert pointers(await client.post("/novels", json=body)) == {"/readers/1", "/publisher"}


async def test_documents_that_beanie_wrote_with_their_links(any_database: Any) -> None:
    async with served(any_database, Novel, also=[Author, Publisher]) as client:
        novel = Novel(title="t", author=Author(name="new"))
        await novel.insert(link_rule=WriteRules.WRITE)
        url = f"/novels/{novel.id}"
        shown = (await client.get(url)).json()
        assert shown["author"] == str(novel.author.id)  # type: ignore[attr-defined]
        assert (await client.merge(url, {"title": "u"})).json() == {**shown, "title": "u"}


async def test_links_can_be_filtered_by(database: Any) -> None:
    async with served(database, Novel, also=[Author, Publisher], filters=["author"]) as client:
        first = await created(client, "/novels", {"title": "t", "author": MISSING})
        await created(client, "/novels", {"title": "u", "author": MISSING[:-1] + "2"})
        found = await client.get(f"/novels?author={MISSING}")
        assert found.json()["items"] == [first]


async def test_a_back_link_is_neither_sent_nor_shown(any_database: Any) -> None:
    async with served(any_database, Author, also=[Novel, Publisher]) as client:
        document = await created(client, "/authors", {"name": "a"})
        assert document == {"id": document["id"], "name": "a"}
        url = f"/authors/{document['id']}"
        assert (await client.merge(url, {"name": "b"})).json() == {**document, "name": "b"}
        assert (await client.put(url, json={"name": "c"})).json() == {**document, "name": "c"}
        assert pointers(await client.merge(url, {"books": []})) == {"/books"}
        assert pointers(await client.post("/authors", json={"name": "a", "books": []})) == {"/books"}


async def test_a_back_link_is_not_stored(database: Any) -> None:
    async with served(database, Author, also=[Novel, Publisher]) as client:
        document = await created(client, "/authors", {"name": "a"})
        await client.merge(f"/authors/{document['id']}", {"name": "b"})
        stored = await collection_of(Author).find_one({})
        assert stored == {"_id": stored["_id"], "name": "b"}


class Shelf(Document):
    first: Link[Publisher]
    by_name: dict[str, Link[Publisher]] = {}
    pair: tuple[Link[Publisher], ...] = ()
    rows: list[list[Link[Author]]] = []
    gaps: list[Link[Author] | None] = []
    maybe: dict[str, Link[Author]] | None = None
    size: int = 0

    class Settings:
        name = "shelves"


class HoldingShelf(Shelf):
    @computed_field
    def held(self) -> int:
        return len(self.by_name)

    class Settings:
        name = "shelves"


SHELVES: list[type[Document]] = [Shelf, HoldingShelf]


@pytest.mark.parametrize("document", SHELVES)
async def test_links_in_containers_and_to_other_ids_come_back_as_they_were_shown(
    any_database: Any, document: type[Document]
) -> None:
    one, other = str(uuid4()), str(uuid4())
    body = {
        "first": one, "by_name": {"a": one, "b": other}, "pair": [one, other], "rows": [[MISSING], []],
        "gaps": [MISSING, None], "maybe": {"x": MISSING}, "size": 0,
    }  # fmt: skip
    async with served(any_database, document, name="shelves", also=[Author, Publisher]) as client:
        shown = await created(client, "/shelves", body)
        assert {name: shown[name] for name in body} == body
        url = f"/shelves/{shown['id']}"
        await keeps(client, url, body)
        stored = await collection_of(document).find_one({})
        assert (await client.merge(url, {"size": 1})).json() == {**shown, "size": 1}
        assert await collection_of(document).find_one({}) == {**stored, "size": 1}
        assert isinstance(stored["by_name"]["a"], DBRef)
        changes = {"first": other, "by_name": {"a": other}, "pair": [other]}
        changed = await client.merge(url, changes)
        assert changed.status_code == 200, changed.text
        assert changed.json()["first"] == changed.json()["by_name"]["a"] == changed.json()["pair"][0] == other
        again = await collection_of(document).find_one({})
        assert again["by_name"] == {"a": stored["by_name"]["b"], "b": stored["by_name"]["b"]}
        properties = (await client.get("/shelves:schema")).json()["schemas"]["create"]["properties"]
        assert properties["by_name"]["additionalProperties"] == properties["first"] == properties["pair"]["items"]
        assert properties["rows"]["items"]["type"] == "array"
        assert {"type": "null"} in properties["gaps"]["items"]["anyOf"]
        assert {"type": "null"} in properties["maybe"]["anyOf"]


class Signed(Document):
    author: Link[Author]
    note: str = ""

    @computed_field
    def loud(self) -> str:
        return self.note.upper()

    class Settings:
        name = "signed"


async def test_a_whole_document_stored_in_place_of_a_link_stays_there(any_database: Any) -> None:
    async with served(any_database, Signed, name="signed", also=[Author, Novel, Publisher]) as client:
        author = Author(name="a")
        await author.insert()
        whole = {"_id": author.id, "name": "a"}
        await collection_of(Signed).insert_many([{"author": whole}, {"author": {"name": "no id"}}])
        first, second = (await client.get("/signed")).json()["items"]
        assert first["author"] == str(author.id)
        url = f"/signed/{first['id']}"
        assert (await client.merge(url, {"note": "n"})).json() == {**first, "note": "n", "loud": "N"}
        assert (await collection_of(Signed).find_one({"note": "n"}))["author"] == whole
        assert (await client.put(url, json={"author": str(author.id), "note": "m"})).json()["author"] == str(author.id)
        url = f"/signed/{second['id']}"
        assert (await client.merge(url, {"note": "o"})).status_code in (200, 422)
        assert (await client.merge(url, {"note": "o", "author": str(author.id)})).json()["author"] == str(author.id)


class Holder(BaseModel):
    who: Link[Author]


class Holders(RootModel[dict[str, Holder]]):
    pass


class HolderBody(BaseModel):
    value: Mapping[str, Any]


UNSENT = [
    *(Holder, list[Holder], Holder | None, Holders),
    *(Link[Author] | Link[Novel], Link[Author] | str, list[Link[Author] | int]),
]


@pytest.mark.parametrize("annotation", UNSENT)
def test_a_link_that_an_id_would_not_say_is_refused_where_clients_could_send_it(annotation: Any) -> None:
    document: Any = create_model("Holding", __base__=Document, value=(annotation, ...))
    with pytest.raises(DeclarationError, match=r"Holding\.value"):
        crud_router(document, operations=["list", "create"])
    crud_router(document, operations=["list", "get", "delete"])
    crud_router(Resource(document, operations=["list", "create"], schemas=Schemas(create=HolderBody)))
