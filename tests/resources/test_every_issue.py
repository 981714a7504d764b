"""One answer lists every issue of a body, and says which field a misspelt name probably means."""

from typing import Annotated, Any

from beanie import Document
from pydantic import BaseModel

from regesta import ReadOnly

from .serving import Client, created, pointers, served


class Layer(BaseModel):
    inputs: list[str] = []
    outputs: list[str] = []


class Model(Document):
    name: str
    task: str = ""
    size: Annotated[int, ReadOnly] = 0
    layers: list[Layer] = []
    by_name: dict[str, Layer] = {}
    first: Layer = Layer()

    class Settings:
        name = "models_with_issues"


MISSPELT = {"nmae": 1, "task": 5, "size": 2}


async def issues(answer: Any) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {issue["pointer"]: issue["message"] for issue in answer.json()["errors"]}


async def test_a_new_document_is_told_all(memory_database: Any) -> None:
    async with served(memory_database, Model) as client:
        found = await issues(await client.post("/models", json=MISSPELT))
        assert found.keys() == {"/nmae", "/task", "/size", "/name"}
        assert found["/nmae"] == "is not a field of this resource; did you mean 'name'?"
        assert found["/size"] == "is set by the server: leave it out"
        assert (await client.get("/models")).json()["items"] == []


async def test_replacements_and_patches_are_told_all(memory_database: Any) -> None:
    async with served(memory_database, Model) as client:
        document = await created(client, "/models", {"name": "vit"})
        url = f"/models/{document['id']}"
        assert pointers(await client.put(url, json=MISSPELT)) == {"/nmae", "/task", "/size", "/name"}
        patched = await issues(await client.merge(url, MISSPELT))
        assert patched.keys() == {"/nmae", "/task", "/size"}
        assert patched["/nmae"].endswith("; did you mean 'name'?")
        await json_patches(client, url)
        assert (await client.get(url)).json() == document


async def json_patches(client: Client, url: str) -> None:
    """Operations build on each other: those that name no field of the resource are told, the others are not tried."""
    operations = [{"op": "add", "path": f"/{name}", "value": 5} for name in ("nmae", "task", "size")]
    assert pointers(await client.operate(url, *operations)) == {"/0/path", "/2/path"}


async def test_names_inside_models_are_suggested(memory_database: Any) -> None:
    async with served(memory_database, Model) as client:
        layer: dict[str, Any] = {"inptus": []}
        body = {"name": "vit", "layers": [layer], "by_name": {"a": layer}, "first": layer}
        found = await issues(await client.post("/models", json=body))
        assert found.keys() == {"/layers/0/inptus", "/by_name/a/inptus", "/first/inptus"}
        assert all(message.endswith("; did you mean 'inputs'?") for message in found.values())


async def test_a_body_full_of_strange_names_gets_few_suggestions(memory_database: Any) -> None:
    async with served(memory_database, Model) as client:
        body = {f"nam{number}": 1 for number in range(90)} | {"n" * 100_000: 1}
        found = await issues(await client.post("/models", json=body))
        assert sum("did you mean" in message for message in found.values()) == 3
