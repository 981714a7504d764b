"""Resources below others: `/models/{model}/versions/{version}/files/{file}`."""

from typing import Annotated, Any

import pytest
from beanie import Document, Indexed, PydanticObjectId
from pymongo import IndexModel

from regesta import DeclarationError, Parent, Resource
from regesta.store import collection_of

from .serving import created, keeps, pointers, served


class Model(Document):
    name: Annotated[str, Indexed(unique=True)]

    class Settings:
        name = "models"


class Version(Document):
    model: PydanticObjectId
    number: int
    note: str = ""

    class Settings:
        name = "versions"
        indexes = [IndexModel([("model", 1), ("number", 1)], unique=True)]


class File(Document):
    version: PydanticObjectId
    path: str
    size: int = 0

    class Settings:
        name = "files"
        indexes = [IndexModel([("version", 1), ("path", 1)], unique=True)]


class Note(Document):
    model_name: str
    text: str

    class Settings:
        name = "notes"


MODELS = Resource(Model, key="name")
VERSIONS = Resource(Version, key="number", parent=Parent(resource=MODELS, field="model", sequence="number"))
FILES = Resource(File, key="path", parent=Parent(resource=VERSIONS, field="version"))
NOTES = Resource(Note, parent=Parent(resource=MODELS, field="model_name", stores="name"))
ALL = (MODELS, VERSIONS, FILES, NOTES)


async def test_children_hang_below_their_parent(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        for name in ("a", "b c"):
            assert (await client.post("/models", json={"name": name})).status_code == 201
        first = await client.post("/models/a/versions", json={"note": "n"})
        assert first.status_code == 201, first.text
        assert first.headers["location"] == "/models/a/versions/1"
        assert (await client.get(first.headers["location"])).content == first.content
        second = await client.post("/models/a/versions", json={})
        other = await client.post("/models/b%20c/versions", json={})
        assert [answer.json()["number"] for answer in (second, other)] == [2, 1]
        assert other.headers["location"] == "/models/b%20c/versions/1"
        listed = (await client.get("/models/a/versions")).json()["items"]
        assert listed == [first.json(), second.json()]
        assert (await client.get("/models/b%20c/versions")).json()["items"] == [other.json()]
        assert (await client.get("/models/b%20c/versions/2")).status_code == 404
        await keeps(client, "/models/a/versions/1", {"note": "n"})


async def test_a_missing_parent_is_404_for_every_operation(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await client.post("/models", json={"name": "a"})
        await client.post("/models/a/versions", json={})
        for base, one in (
            ("/models/no/versions", "/models/no/versions/1"),
            ("/models/a/versions/9/files", "/models/a/versions/9/files/f"),
            ("/models/no/versions/1/files", "/models/no/versions/1/files/f"),
        ):
            body = {"path": "f"} if "files" in base else {}
            for answer in (
                await client.get(base),
                await client.post(base, json=body),
                await client.get(one),
                await client.put(one, json=body),
                await client.merge(one, {}),
                await client.delete(one),
            ):
                assert answer.status_code == 404, answer.text
        assert (await client.put("/models/no/notes/x?allow_missing=true", json={"text": "t"})).status_code in (404, 422)
        assert await collection_of(File).count_documents({}) == 0


async def test_the_parent_and_the_number_are_the_servers(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await client.post("/models", json={"name": "a"})
        identity = str(PydanticObjectId())
        assert pointers(await client.post("/models/a/versions", json={"model": identity})) == {"/model"}
        assert pointers(await client.post("/models/a/versions", json={"number": 7})) == {"/number"}
        assert (await client.post("/models/a/versions", json={})).json()["number"] == 1
        url = "/models/a/versions/1"
        assert pointers(await client.merge(url, {"model": identity, "number": 2})) == {"/model", "/number"}
        assert pointers(await client.put(url, json={"model": identity})) == {"/model"}
        assert pointers(await client.operate(url, {"op": "replace", "path": "/model", "value": identity})) == {
            "/0/path"
        }
        assert pointers(await client.post("/models/a/notes", json={"text": "t", "model_name": "b"})) == {"/model_name"}


async def test_two_levels_and_a_natural_key_of_the_parent(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        await client.post("/models", json={"name": "a"})
        for _ in range(2):
            await client.post("/models/a/versions", json={})
        file = await client.post("/models/a/versions/2/files", json={"path": "w x.bin"})
        assert file.headers["location"] == "/models/a/versions/2/files/w%20x.bin"
        assert (await client.get(file.headers["location"])).content == file.content
        assert (await client.get("/models/a/versions/1/files/w%20x.bin")).status_code == 404
        same = await client.post("/models/a/versions/2/files", json={"path": "w x.bin"})
        assert pointers(same, 409) == {"/path"}
        assert (await client.post("/models/a/versions/1/files", json={"path": "w x.bin"})).status_code == 201
        put = await client.put("/models/a/versions/1/files/new?allow_missing=true", json={"size": 4})
        assert (put.status_code, put.json()["path"], put.json()["size"]) == (201, "new", 4)
        note = await created(client, "/models/a/notes", {"text": "t"})
        assert note["model_name"] == "a"
        assert (await client.get("/models/x/versions/two")).status_code in (404, 422)


async def test_a_parent_with_children_stays_unless_asked_to_cascade(any_database: Any) -> None:
    async with served(any_database, *ALL) as client:
        for name in ("a", "b"):
            await client.post("/models", json={"name": name})
            await client.post(f"/models/{name}/versions", json={})
            await client.post(f"/models/{name}/versions/1/files", json={"path": "f"})
        refused = await client.delete("/models/a")
        assert refused.status_code == 409
        assert refused.json()["code"] == "HAS_CHILDREN"
        assert (await client.delete("/models/a/versions/1")).status_code == 409
        assert (await client.get("/models/a/versions/1/files/f")).status_code == 200
        assert (await client.delete("/models/a?cascade=true")).status_code == 204
        assert [await collection_of(found).count_documents({}) for found in (Model, Version, File)] == [1, 1, 1]
        assert (await client.get("/models/b/versions/1/files/f")).status_code == 200


async def test_a_refused_cascade_undoes_everything(database: Any) -> None:
    async with served(database, *ALL) as client:
        await client.post("/models", json={"name": "a"})
        await client.post("/models/a/versions", json={})
        await client.post("/models/a/notes", json={"text": "t"})
        assert (await client.delete("/models/a")).status_code == 409
        assert [await collection_of(found).count_documents({}) for found in (Model, Version, Note)] == [1, 1, 1]


async def test_numbers_are_never_given_twice(database: Any) -> None:
    async with served(database, *ALL) as client:
        await client.post("/models", json={"name": "a"})
        for _ in range(3):
            await client.post("/models/a/versions", json={})
        await client.delete("/models/a/versions/3")
        assert (await client.post("/models/a/versions", json={})).json()["number"] == 4
        assert pointers(await client.post("/models/a/versions", json={"more": 1})) == {"/more"}
        assert (await client.post("/models/a/versions", json={})).json()["number"] == 5


@pytest.mark.parametrize("resources", [(VERSIONS,), (FILES,)], ids=["versions", "files"])
async def test_a_child_is_served_without_its_parents_routes(
    any_database: Any, resources: tuple[Resource[Any], ...]
) -> None:
    async with served(any_database, *resources, also=[Model, Version, File, Note]) as client:
        model = Model(name="a")
        await model.insert()
        assert (await client.get("/models")).status_code == 404
        if resources == (VERSIONS,):
            assert (await client.post("/models/a/versions", json={})).json()["model"] == str(model.id)
        else:
            assert (await client.get("/models/a/versions/1/files")).status_code == 404


class Chapter(Document):
    model: PydanticObjectId
    title: str

    class Settings:
        name = "chapters"


CHAPTERS = Resource(Chapter, key="title", parent=Parent(resource=MODELS, field="model", owned=True))


async def test_children_that_are_owned_go_with_their_parent(any_database: Any) -> None:
    async with served(any_database, MODELS, VERSIONS, CHAPTERS) as client:
        for name in ("a", "b"):
            await client.post("/models", json={"name": name})
            assert (await client.post(f"/models/{name}/chapters", json={"title": "t"})).status_code == 201
        await client.post("/models/a/versions", json={})
        # What is not owned stays in the way.
        assert (await client.delete("/models/a")).json()["code"] == "HAS_CHILDREN"
        assert (await client.get("/models/a/chapters/t")).status_code == 200
        assert (await client.delete("/models/a/versions/1")).status_code == 204
        assert (await client.delete("/models/a")).status_code == 204
        assert await collection_of(Chapter).count_documents({}) == 1
        assert (await client.get("/models/b/chapters/t")).status_code == 200


async def test_two_resources_may_share_a_path_below_different_parents(any_database: Any) -> None:
    everything = Resource(Chapter, name="all-chapters", path="chapters", key="title", operations=["list", "facets"])
    async with served(any_database, MODELS, CHAPTERS, everything) as client:
        for name in ("a", "b"):
            await client.post("/models", json={"name": name})
            assert (await client.post(f"/models/{name}/chapters", json={"title": name})).status_code == 201
        assert [item["title"] for item in (await client.get("/models/a/chapters")).json()["items"]] == ["a"]
        assert [item["title"] for item in (await client.get("/chapters")).json()["items"]] == ["a", "b"]
        assert (await client.post("/chapters", json={"title": "c"})).status_code == 405
        document = (await client.get("/openapi.json")).json()
        assert document["paths"]["/chapters"]["get"]["operationId"] == "list_all_chapters"
        assert {"Chapter", "ChapterPage"} <= document["components"]["schemas"].keys()


def test_a_path_is_a_name() -> None:
    with pytest.raises(DeclarationError, match="is no name"):
        Resource(Chapter, key="title", path="a/b")
