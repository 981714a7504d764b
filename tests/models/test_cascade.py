"""Deleting a model: alone only when it is empty, else together with its versions."""

import asyncio
from typing import Any

from tests.models.application import Service, at, audited, serve

from regesta import Change, Conflict, hookimpl


async def count(service: Service, collection: str) -> int:
    found: int = await service.database[collection].count_documents({})
    return found


async def test_a_model_with_versions_stays(service: Service) -> None:
    await service.model()
    await service.version()
    refused = await service.client.delete(at("resnet"))
    assert refused.status_code == 409
    assert refused.json()["code"] == "HAS_CHILDREN"
    assert (await service.client.delete("/models/resnet/versions/1")).status_code == 204
    assert (await service.client.delete(at("resnet"))).status_code == 204


async def test_all_go_together_and_each_is_in_the_trail(service: Service) -> None:
    await service.model()
    await service.model("other")
    await service.version("other")
    for _ in range(3):
        await service.version()
    await service.point("champion", 2)
    before = len(await audited(service))
    service.observer.events.clear()

    assert (await service.client.delete(at("resnet"), params={"cascade": "true"})).status_code == 204
    deleted = [("delete", "versions", "1"), ("delete", "versions", "2"), ("delete", "versions", "3")]
    expected = [("delete", "models", "resnet"), ("delete", "promotions", "1"), *deleted]
    recorded = (await audited(service))[before:]
    assert sorted((event["action"], event["resource"], event["key"]) for event in recorded) == expected
    assert sorted((event.action.value, event.resource, event.key) for event in service.observer.events) == expected
    assert (await count(service, "models"), await count(service, "versions")) == (1, 1)
    assert (await service.client.get("/models/other/versions/1")).status_code == 200


async def test_a_name_that_is_free_again_starts_anew(service: Service) -> None:
    await service.model()
    await service.version()
    await service.point("champion", 1)
    await service.client.delete(at("resnet"), params={"cascade": "true"})
    await service.model()
    assert (await service.client.get("/models/resnet/versions")).json()["items"] == []
    assert (await service.client.get("/models/resnet/aliases")).json() == {}
    assert (await service.version())["number"] == 1


class Keeper:
    """Lets no version with this number go."""

    name = "keeper"

    @hookimpl
    def validate_change(self, change: Change[Any]) -> None:
        if change.resource == "versions" and change.after is None and change.key == "2":
            raise Conflict("version 2 is under seal")


async def test_all_or_none(database: Any) -> None:
    async with serve(database, Keeper()) as service:
        await service.model()
        for _ in range(3):
            await service.version()
        before = await audited(service)
        refused = await service.client.delete(at("resnet"), params={"cascade": "true"})
        assert refused.status_code == 409
        assert (await count(service, "models"), await count(service, "versions")) == (1, 3)
        assert await audited(service) == before


async def test_no_version_outlives_its_model(service: Service) -> None:
    # Motor does not start again where MongoDB refuses a commit, as it may while a collection is being created.
    await service.model("first")
    await service.version("first")
    for attempt in range(10):
        name = f"model {attempt}"
        await service.model(name)
        created, deleted = await asyncio.gather(
            service.client.post(f"{at(name)}/versions", json={}),
            service.client.delete(at(name), params={"cascade": "true"}),
        )
        assert (created.status_code, deleted.status_code) in {(201, 204), (404, 204)}
        assert (await service.client.get(at(name))).status_code == 404
    assert await count(service, "versions") == 1
