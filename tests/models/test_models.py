"""Models: create, read, change, delete, list."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.models.application import MERGE_PATCH, Service, at

from regesta_models.constraints import ModelName

NAMES: TypeAdapter[str] = TypeAdapter(ModelName)

GOOD_NAMES = ["resnet", "Faster R-CNN R-50-FPN", "VGG 16", "модель", "模型 2", "🤖", "a", "...", ".hidden", "a" * 250]
GOOD_NAMES += ["50% off?", "a#b", "a\\b", "a+b&c=d", "%2e%2e", "é", "🤖" * 250]
BAD_NAMES = ["", " ", ".", "..", "a/b", "a:b", " a", "a ", "a\n", "\ta", "a\x00b", "a\x7f", "a\x85b", "a\u2028b"]
BAD_NAMES += ["\u00a0", "a\u3000", "a" * 251]


async def test_a_model_is_created_read_changed_and_deleted(any_service: Service) -> None:
    client = any_service.client
    sent = {
        "name": "ResNet 50",
        "description": "Deep residual learning",
        "task": "image classification",
        "framework": "onnx",
        "license": "Apache-2.0",
        "owner": "vision",
        "tags": [{"key": "vision", "value": ""}, {"key": "family", "value": "resnet"}],
    }
    created = await client.post("/models", json=sent)
    assert created.status_code == 201
    assert created.headers["location"] == "/models/ResNet%2050"
    assert sent.items() <= created.json().items()
    assert created.json()["workspace"] == "default"

    read = await client.get(created.headers["location"])
    assert read.json() == created.json()
    assert read.headers["etag"] == created.headers["etag"]

    patched = await client.patch(
        at("ResNet 50"),
        json={"owner": None, "tags": [{"key": "vision"}]},
        headers=MERGE_PATCH | {"If-Match": read.headers["etag"]},
    )
    assert patched.status_code == 200
    assert patched.json()["owner"] is None
    assert patched.json()["tags"] == [{"key": "vision", "value": ""}]
    assert patched.json()["description"] == "Deep residual learning"

    stale = await client.delete(at("ResNet 50"), headers={"If-Match": read.headers["etag"]})
    assert stale.status_code == 412
    assert (await client.delete(at("ResNet 50"))).status_code == 204
    assert (await client.get(at("ResNet 50"))).status_code == 404


async def test_times_are_the_servers(any_service: Service) -> None:
    client = any_service.client
    created = await any_service.model()
    assert created["created_at"] == created["updated_at"]

    changed = (await client.patch(at("resnet"), json={"owner": "me"}, headers=MERGE_PATCH)).json()
    assert changed["created_at"] == created["created_at"]
    assert changed["updated_at"] > created["updated_at"]

    replaced = (await client.put(at("resnet"), json={"owner": "you"})).json()
    assert replaced["created_at"] == created["created_at"]
    assert replaced["updated_at"] > changed["updated_at"]

    for name in ("created_at", "updated_at", "workspace", "id"):
        refused = await client.post("/models", json={"name": "other", name: created[name]})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == f"/{name}"


async def test_a_write_that_changes_nothing_is_no_change(any_service: Service) -> None:
    created = await any_service.client.post("/models", json={"name": "resnet", "owner": "me"})
    same = await any_service.client.patch(at("resnet"), json={"owner": "me"}, headers=MERGE_PATCH)
    assert same.json() == created.json()
    assert same.headers["etag"] == created.headers["etag"]
    assert len(any_service.observer.events) == 1


async def test_a_name_stays(any_service: Service) -> None:
    await any_service.model()
    renamed = await any_service.client.patch(at("resnet"), json={"name": "other"}, headers=MERGE_PATCH)
    assert renamed.status_code == 422
    assert renamed.json()["errors"][0]["type"] == "immutable"


async def test_a_name_is_taken_once(any_service: Service) -> None:
    await any_service.model()
    again = await any_service.client.post("/models", json={"name": "resnet"})
    assert again.status_code == 409
    assert [error["pointer"] for error in again.json()["errors"]] == ["/name"]


async def test_names_that_are_taken(any_service: Service) -> None:
    for name in GOOD_NAMES:
        created = await any_service.client.post("/models", json={"name": name})
        assert created.status_code == 201, (name, created.text)
        read = await any_service.client.get(f"/models/{quote(name, safe='')}")
        assert read.json()["name"] == name
        assert (await any_service.client.get(created.headers["location"])).json() == read.json()


async def test_names_that_are_refused(any_service: Service) -> None:
    for name in BAD_NAMES:
        refused = await any_service.client.post("/models", json={"name": name})
        assert refused.status_code == 422, (name, refused.text)
        assert {error["pointer"] for error in refused.json()["errors"]} == {"/name"}


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=260))
def test_every_name_that_is_taken_is_one_part_of_a_path(name: str) -> None:
    try:
        NAMES.validate_python(name)
    except ValidationError:
        return
    assert name == name.strip()
    assert 1 <= len(name) <= 250
    assert name.isprintable() or not any(character in name for character in "\n\r\t\0")
    assert "/" not in name
    assert name not in {".", ".."}


WRONG: list[tuple[str, Any]] = [
    ("tags", [{"key": "a"}, {"key": "a", "value": "b"}]),
    ("tags", [{"key": f"t{number}"} for number in range(101)]),
    ("tags", [{"key": ""}]),
    ("tags", ["a"]),
    ("tags", {"key": "a"}),
    ("description", "a" * 10_001),
    ("description", None),
    ("task", ""),
    ("owner", " me"),
    ("owner", 1),
    ("stars", 5),
]


async def test_fields_that_are_refused(memory_service: Service) -> None:
    for field, value in WRONG:
        refused = await memory_service.client.post("/models", json={"name": "resnet", field: value})
        assert refused.status_code == 422, (field, value)
        assert all(error["pointer"].startswith(f"/{field}") for error in refused.json()["errors"])


async def test_models_are_found(service: Service) -> None:
    await service.model("b", tags=[{"key": "vision"}], task="detection")
    await service.model("a", tags=[{"key": "vision"}, {"key": "int8"}])
    await service.model("c", tags=[{"key": "text"}])

    async def names(**query: Any) -> list[str]:
        answer = await service.client.get("/models", params=query)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    assert await names() == ["a", "b", "c"]
    assert await names(**{"tags.key": "vision"}) == ["a", "b"]
    assert await names(task="detection") == ["b"]
    assert await names(sort="-name") == ["c", "b", "a"]
    assert await names(sort="-created_at") == ["c", "a", "b"]
    assert await names(name__prefix="c") == ["c"]


@pytest.mark.parametrize("sort", ["", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"])
async def test_every_order_is_served_by_an_index(sort: str, service: Service) -> None:
    await service.model()
    await service.database.command({"profile": 2})
    await service.client.get("/models", params={"sort": sort} if sort else {})
    await service.database.command({"profile": 0})
    (entry,) = await service.database["system.profile"].find({"op": "query", "command.find": "models"}).to_list(2)
    assert not entry.get("hasSortStage", False)
    assert entry["planSummary"].startswith("IXSCAN { workspace: 1")
