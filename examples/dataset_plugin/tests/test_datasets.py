"""The plugin as Regesta loads it, on the store in memory: nothing has to be running."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from beanie import init_beanie
from fastapi import FastAPI

from regesta import Hooks, Registry
from regesta.http import registry_router
from regesta.store import memory_client

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


@asynccontextmanager
async def service(hooks: Hooks) -> AsyncIterator[httpx.AsyncClient]:
    resources = [resource for _, brought in hooks.collect("register_resources") for resource in brought]
    app = FastAPI()
    app.include_router(registry_router(Registry(resources, hooks)))
    await init_beanie(memory_client()["test"], document_models=[resource.document for resource in resources])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_dataset_is_made_public_once_it_has_a_license() -> None:
    async with service(Hooks.load(only=["datasets"])) as client:
        new = {"name": "imagenet-1k", "uri": "s3://data/imagenet", "rows": 1_281_167}
        assert (await client.post("/datasets", json=new)).is_success

        refused = await client.patch("/datasets/imagenet-1k", json={"public": True}, headers=MERGE_PATCH)
        assert refused.json()["title"] == "The request is not valid"
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/license"]

        licensed = {"public": True, "license": "CC-BY-4.0"}
        assert (await client.patch("/datasets/imagenet-1k", json=licensed, headers=MERGE_PATCH)).is_success


async def test_rows_never_shrink() -> None:
    async with service(Hooks.load(only=["datasets"])) as client:
        await client.post("/datasets", json={"name": "a", "uri": "s3://a", "rows": 2})
        refused = await client.patch("/datasets/a", json={"rows": 1}, headers=MERGE_PATCH)
        assert refused.json()["errors"][0]["message"] == "never shrinks: there are 2"


async def test_what_is_committed_is_observed() -> None:
    hooks = Hooks.load(only=["datasets"])
    seen = dict(hooks)["datasets"].seen
    seen.clear()
    async with service(hooks) as client:
        await client.post("/datasets", json={"name": "a", "uri": "s3://a"})
        await client.post("/datasets", json={"name": "a", "uri": "s3://a"})
        await client.delete("/datasets/a")
    assert seen == {"create": 1, "delete": 1}
