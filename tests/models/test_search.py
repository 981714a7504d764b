"""Search over the versions of all models."""

import asyncio
import os
from typing import Any
from urllib.parse import urlencode

import pytest
from pymongo import MongoClient
from tests.benchmarks.search import SEARCHES, fill
from tests.models.application import MERGE_PATCH, Service, at, audited, serve

from regesta.query import QueryRules
from regesta_models import all_versions

PLANNED = int(os.environ.get("REGESTA_SEARCH_VERSIONS", "20000"))
TOP1 = {"name": "top1", "value": 86.5, "dataset": "imagenet"}


async def found(service: Service, filter_: str = "", **parameters: str) -> list[tuple[str, int]]:
    """Model and number of each version, in order."""
    asked = {**parameters, **({"filter": filter_} if filter_ else {})}
    answer = await service.client.get("/versions", params=asked)
    assert answer.status_code == 200, answer.text
    return [(item["model"], item["number"]) for item in answer.json()["items"]]


async def test_versions_of_all_models(any_service: Service) -> None:
    for name in ("vit", "resnet", "resnext"):
        await any_service.model(name)
    vit = [{"key": "family", "value": "vit"}]
    await any_service.version("vit", tags=vit, metrics=[TOP1], params={"depth": 12, "opt": "adam"})
    await any_service.version("vit", tags=vit, metrics=[{**TOP1, "value": 80}], params={"depth": 24, "opt": "12"})
    await any_service.version("resnet", tags=[{"key": "family", "value": "cnn"}], metrics=[{**TOP1, "value": 99}])
    await any_service.version("resnext", metrics=[{**TOP1, "dataset": "real"}], params={"depth": "deep"})
    for filter_, wanted in {
        "": [("resnext", 1), ("resnet", 1), ("vit", 2), ("vit", 1)],
        'metrics.top1 > 85 AND tags.family = "vit"': [("vit", 1)],
        "metrics.top1.imagenet > 85": [("resnet", 1), ("vit", 1)],
        "metrics.top1.real > 85": [("resnext", 1)],
        "tags:family AND NOT tags.family = vit": [("resnet", 1)],
        "params.depth >= 12": [("vit", 2), ("vit", 1)],
        'params.opt = "12"': [("vit", 2)],
        "params.opt = 12": [],
        "model = resn*": [("resnext", 1), ("resnet", 1)],
        "latest = true": [("resnext", 1), ("resnet", 1), ("vit", 2)],
        "latest = true AND tags.family = vit": [("vit", 2)],
    }.items():
        assert await found(any_service, filter_) == wanted, filter_
    assert await found(any_service, "latest = true", page_size="2") == [("resnext", 1), ("resnet", 1)]
    below = await any_service.client.get("/models/vit/versions", params={"filter": "metrics.top1 > 85"})
    assert [item["number"] for item in below.json()["items"]] == [1]
    assert not {"model", "latest", "reference"} & below.json()["items"][0].keys()
    models = await any_service.client.get("/models", params={"filter": "tags.family = vit"})
    assert models.json()["items"] == []


async def test_what_else_can_be_asked(service: Service) -> None:
    await service.model("vit", owner="me")
    await service.version("vit", description="a tiny transformer", framework="torch")
    assert await found(service, q="transformer") == [("vit", 1)]
    assert await found(service, q="vit") == [("vit", 1)]
    assert await found(service, q="whale") == []
    expanded = (await service.client.get("/versions?expand=model_id")).json()["items"][0]
    assert expanded["model_id"]["owner"] == "me"
    counted = (await service.client.get("/versions:facets?by=framework")).json()
    assert counted["facets"]["framework"] == [{"value": "torch", "count": 1}]
    described = (await service.client.get("/versions:schema")).json()
    assert described["keyed_filters"]["metrics"]["written"] == "metrics.NAME[.DATASET[.SPLIT]]"
    exported = await service.client.get("/versions", headers={"Accept": "application/x-ndjson"})
    assert len(exported.text.splitlines()) == 1
    for method in ("PATCH", "DELETE", "PUT"):
        assert (await service.client.request(method, "/versions")).status_code == 405
    other = await service.client.get("/versions", headers={"X-Regesta-Workspace": "other"})
    assert other.json()["items"] == []
    sent = await service.client.post("/models/vit/versions", json={"latest": False})
    assert sent.status_code == 422


async def test_one_version_is_the_latest(any_service: Service) -> None:
    await any_service.model("vit")
    for _ in range(3):
        await any_service.version("vit")
    path = f"{at('vit')}/versions"
    before = (await any_service.client.get(f"{path}/3")).headers["etag"]
    await any_service.version("vit")
    assert await found(any_service, "latest = true") == [("vit", 4)]
    # What it is the latest of is no part of a version.
    assert (await any_service.client.get(f"{path}/3")).headers["etag"] == before
    for number, latest in ((4, 3), (2, 3), (3, 1)):
        assert (await any_service.client.delete(f"{path}/{number}")).status_code == 204
        assert await found(any_service, "latest = true") == [("vit", latest)]
    await any_service.client.patch(f"{path}/1", json={"description": "x"}, headers=MERGE_PATCH)
    assert await found(any_service, "latest = true") == [("vit", 1)]
    await any_service.version("vit")
    assert await found(any_service, "latest = true") == [("vit", 5)]
    lines = "{}\n" * 3
    imported = await any_service.client.post(path, content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert '"created":3' in imported.text.replace(" ", "")
    assert await found(any_service, "latest = true") == [("vit", 8)]
    assert await found(any_service, "latest = false") == [("vit", 7), ("vit", 6), ("vit", 5), ("vit", 1)]


async def test_one_version_is_the_latest_whatever_happens_at_once(service: Service) -> None:
    await service.model("vit")
    path = f"{at('vit')}/versions"
    for _ in range(3):
        await service.version("vit")
    creating = [service.client.post(path, json={}) for _ in range(8)]
    deleting = [service.client.delete(f"{path}/{number}") for number in (3, 2, 4, 5)]
    answers = await asyncio.gather(*creating[:4], *deleting, *creating[4:])
    assert {answer.status_code for answer in answers} <= {201, 204, 404}
    numbers = [raw["number"] async for raw in service.database["versions"].find({}, {"number": 1})]
    latest = [raw["number"] async for raw in service.database["versions"].find({"latest": True}, {"number": 1})]
    assert latest == [max(numbers)]
    assert len([event for event in await audited(service) if event["resource"] == "versions"]) == 3 + sum(
        answer.status_code in (201, 204) for answer in answers
    )


def test_every_plan_uses_an_index(mongod_uri: str) -> None:
    asyncio.run(_built(mongod_uri))
    rules = QueryRules(all_versions)
    with MongoClient[dict[str, Any]](mongod_uri) as client:
        versions = client["test_search_plans"]["versions"]
        for title, parameters in {**SEARCHES, "words": {"q": "vit"}}.items():
            query = rules.parse(urlencode(parameters).encode())
            wanted = versions.find({"workspace": "default", **query.filter}).sort(list(query.sort)).limit(51)
            explained = wanted.explain()
            plan = str(explained["queryPlanner"]["winningPlan"])
            assert "IXSCAN" in plan or "TEXT" in plan, (title, plan)
            assert "COLLSCAN" not in plan, (title, plan)
            examined = explained["executionStats"]["totalDocsExamined"]
            assert examined < PLANNED / 2 or title == "words", (title, examined, plan)
        client.drop_database("test_search_plans")


async def _built(uri: str) -> None:
    from regesta.store import open_store

    with MongoClient[dict[str, Any]](uri) as client:
        fill(client["test_search_plans"]["versions"], PLANNED)
    async with open_store(uri, database="test_search_plans") as store, serve(store.database):
        pass


@pytest.mark.parametrize("text", ["metrics.top1 > high", "tags = vit", "params.a.b = 1"])
async def test_what_means_nothing(memory_service: Service, text: str) -> None:
    assert (await memory_service.client.get("/versions", params={"filter": text})).status_code == 422
