"""Names are kept in one spelling, found by any, and have no invisible characters."""

import unicodedata
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from tests.mlflow.application import Both, both
from tests.models.application import OLD_BEANIE

from regesta.names import checked_name, spellings

pytestmark = OLD_BEANIE

COMPOSED, APART = "café", "cafe\u0301"
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}
INVISIBLE = [
    *("a\u200bb", "a\u00adb", "\ufeffa", "a\u2060b", "a\u202eb", "a\u2066b", "a\u200fb", "a\u061cb", "a\u180eb"),
    *("a\u3164b", "a\u115fb", "a\u034fb", "a\u2800b", "a\ue000b", "a\U000f0000b", "a\U0010fffdb", "a\u0378b"),
    *("a\U000e0061b", "a\ufe00b", "a\U000e0100b", "a\ufe0fb", "\u200da", "a\u200d", "a\u200d1", "1\u200cb"),
    *("a\u200c b", "\u0301", "\u3164", "\u200b", "\u2800"),
]
VISIBLE = [
    *("resnet50", "ResNet 50", "模型", "модель", "a.b-c_d", "₿", "🤖", "👩\u200d🔬", "✏\ufe0f", "❤\ufe0f\u200d🔥"),
    *("1\ufe0f\u20e3", "\u0915\u094d\u200d\u0937", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
]


@pytest.fixture
async def here(database: Any) -> AsyncIterator[Both]:
    async with both(database) as opened:
        yield opened


async def refused(here: Both, verb: str, path: str, **options: Any) -> list[Any]:
    answer = await here.client.request(verb, path, **options)
    assert answer.status_code == 422, answer.text
    return [issue["pointer"] for issue in answer.json()["errors"]]


@pytest.mark.parametrize("name", INVISIBLE)
async def test_what_nobody_sees_is_refused_in_every_name(here: Both, name: str) -> None:
    assert await refused(here, "POST", "/models", json={"name": name}) == ["/name"]
    assert await refused(here, "POST", "/models", json={"name": "a", "tags": [{"key": name}]}) == ["/tags/0/key"]
    said = await here.refused("POST", "/registered-models/create", name=name)
    assert said[:2] == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("name", VISIBLE)
async def test_what_somebody_sees_is_taken_as_it_is(here: Both, name: str) -> None:
    assert (await here.native("POST", "/models", json={"name": name}))["name"] == name
    assert (await here.native("GET", f"/models/{quote(name)}"))["name"] == name


async def test_each_kind_of_name_is_checked(here: Both) -> None:
    bad = "a\u200bb"
    gates = [{"type": "metric", "name": "top1", "at_least": 1}]
    policy = {"name": bad, "alias": "champion", "gates": gates}
    assert await refused(here, "POST", "/promotion-policies", json=policy) != []
    await here.native("POST", "/models", json={"name": "resnet"})
    versions = "/models/resnet/versions"
    artifact = {"path": bad, "size": 1, "sha256": "0" * 64}
    assert await refused(here, "POST", versions, json={"artifacts": [artifact]}) == ["/artifacts/0/path"]
    parent = {"parents": [{"model": bad, "version": 1}]}
    assert await refused(here, "POST", versions, json={"lineage": parent}) == ["/lineage/parents/0/model"]
    assert await refused(here, "POST", versions, json={"metrics": [{"name": bad, "value": 1.0}]}) != []
    await here.native("POST", versions, json={"status": "pending"})
    upload = f"{versions}/1/artifacts/{quote(bad)}"
    assert await refused(here, "PUT", upload, content=b"x", headers={"Content-Type": "application/octet-stream"}) != []
    assert await refused(here, "POST", f"{versions}/1/deployments", json={"name": bad, "environment": "e"}) == ["/name"]
    renaming = {"name": "resnet", "new_name": bad}
    assert (await here.refused("POST", "/registered-models/rename", **renaming))[0] == 400


@pytest.mark.parametrize("written", [COMPOSED, APART])
async def test_a_name_is_kept_composed_and_found_by_either_spelling(here: Both, written: str) -> None:
    made = await here.native("POST", "/models", json={"name": written, "tags": [{"key": written, "value": "x"}]})
    assert (made["name"], made["tags"][0]["key"]) == (COMPOSED, COMPOSED)
    for name in (COMPOSED, APART):
        path = f"/models/{quote(name)}"
        assert (await here.native("GET", path))["name"] == COMPOSED
        patched = await here.native("PATCH", path, json={"description": name}, headers=MERGE_PATCH)
        assert patched["name"] == COMPOSED
        body = {"name": name, "description": "whole"}
        assert (await here.native("PUT", path, json={**body, "tags": made["tags"]}))["name"] == COMPOSED
        await here.native("POST", f"{path}/versions", json={})
        assert len((await here.native("GET", "/models", params={"name": name}))["items"]) == 1
        expression = f'name = "{name}" AND tags."{name}" = x'
        assert len((await here.native("GET", "/models", params={"filter": expression}))["items"]) == 1
        assert (await here.done("GET", "/registered-models/get", name=name))["registered_model"]["name"] == COMPOSED
        for asked in (f"name = '{name}'", f"name LIKE '{name}%'", f"tags.`{name}` = 'x'"):
            found = await here.done("GET", "/registered-models/search", filter=asked)
            assert len(found["registered_models"]) == 1
    again = await here.client.post("/models", json={"name": APART})
    assert again.status_code == 409
    keys = {key for _, resource, key in await here.events() if resource == "models"}
    assert keys == {COMPOSED}


async def test_mlflow_s_names_are_kept_composed(here: Both) -> None:
    await here.model(APART)
    await here.version(APART)
    assert (await here.native("GET", f"/models/{quote(COMPOSED)}/versions/1"))["number"] == 1
    await here.done("POST", "/registered-models/rename", name=COMPOSED, new_name="e\u0301te\u0301")
    assert (await here.done("GET", "/registered-models/get", name="été"))["registered_model"]["name"] == "été"
    await here.done("DELETE", "/registered-models/delete", name="e\u0301te\u0301")


async def test_a_file_is_found_by_either_spelling_of_its_path(here: Both) -> None:
    await here.native("POST", "/models", json={"name": "resnet"})
    await here.native("POST", "/models/resnet/versions", json={"status": "pending"})
    files = "/models/resnet/versions/1/artifacts"
    for name, status in ((APART, 201), (COMPOSED, 200)):
        headers = {"Content-Type": "application/octet-stream"}
        answer = await here.client.put(f"{files}/{quote(name)}", content=b"x", headers=headers)
        assert (answer.status_code, answer.json()["path"]) == (status, COMPOSED)
        assert (await here.client.get(f"{files}/{quote(name)}")).content == b"x"
    assert (await here.client.delete(f"{files}/{quote(APART)}")).status_code == 204


@pytest.mark.parametrize("old", [APART, "a\u200bb"])
async def test_an_older_store_keeps_its_names_and_they_are_read_and_written(here: Both, old: str) -> None:
    now = datetime.now(UTC)
    stored = {"workspace": "default", "name": old, "kind": "model", "description": "", "protected": False}
    tags = [{"key": old, "value": "v"}]
    times = {"created_at": now, "updated_at": now, "revised_at": now}
    await here.database["models"].insert_one({**stored, "tags": tags, **times})
    path = f"/models/{quote(old)}"
    found = await here.native("GET", path)
    assert (found["name"], found["tags"]) == (old, tags)
    await here.native("PATCH", path, json={"description": "new"}, headers=MERGE_PATCH)
    await here.native("POST", f"{path}/versions", json={})
    assert (await here.done("GET", "/registered-models/get", name=old))["registered_model"]["name"] == old
    raw = await here.database["models"].find_one({})
    assert (raw["name"], raw["tags"], raw["description"]) == (old, tags, "new")
    await here.client.delete(path, params={"cascade": "true"})
    assert await here.database["models"].count_documents({}) == 0


def test_the_spelling_of_a_name_is_nfc() -> None:
    for name in VISIBLE:
        assert checked_name(name) == unicodedata.normalize("NFC", name)
    assert spellings("abc") == ["abc"]
    assert spellings(APART) == [COMPOSED, APART]
