"""Deployments: where versions run, of each and of all."""

from typing import Any

import pytest
from tests.models.application import MERGE_PATCH, Service

HERE = "/models/resnet/versions/1/deployments"
BODY = {"name": "eu", "environment": "prod", "endpoint": "https://resnet.example.org/v1"}
ANN = {"X-Actor": "ann"}


async def deployed(service: Service, path: str, body: dict[str, Any], headers: dict[str, str] = ANN) -> dict[str, Any]:
    answer = await service.client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_server_tells_what_since_when_and_by_whom(any_service: Service) -> None:
    service = any_service
    await service.model()
    await service.version()
    new = await deployed(service, HERE, BODY)
    assert (new["model"], new["version"], new["by"]) == ("resnet", 1, "ann")
    assert (new["since"], new["environment"]) > ("2020", "")
    patched = await service.client.patch(
        f"{HERE}/eu", json={"endpoint": "grpc://b:1"}, headers={**MERGE_PATCH, "X-Actor": "bob"}
    )
    assert patched.status_code == 200
    assert (patched.json()["by"], patched.json()["since"]) == ("ann", new["since"])
    again = await service.client.post(HERE, json=BODY)
    assert again.status_code == 409
    for name in ("since", "by", "model", "version", "model_id", "version_id"):
        assert (await service.client.post(HERE, json={**BODY, "name": "us", name: new[name]})).status_code == 422


async def test_those_of_all_versions_are_one_list(any_service: Service) -> None:
    service = any_service
    for model in ("resnet", "vit"):
        await service.model(model)
        await service.version(model)
    await deployed(service, HERE, BODY)
    await deployed(service, HERE, BODY | {"name": "lab", "environment": "test"})
    await deployed(service, "/models/vit/versions/1/deployments", BODY)
    listed = await service.client.get("/deployments", params={"environment": "prod", "sort": "model"})
    assert [(item["model"], item["version"]) for item in listed.json()["items"]] == [("resnet", 1), ("vit", 1)]
    assert len((await service.client.get("/deployments")).json()["items"]) == 3
    other = await service.client.get("/deployments", headers={"X-Regesta-Workspace": "other"})
    assert other.json()["items"] == []
    assert (await service.client.post("/deployments", json=BODY)).status_code == 405


async def test_a_version_that_runs_is_deleted_only_with_its_deployments(service: Service) -> None:
    await service.model()
    await service.version()
    await deployed(service, HERE, BODY)
    refused = await service.client.delete("/models/resnet/versions/1")
    assert (refused.status_code, refused.json()["code"]) == (409, "HAS_CHILDREN")
    assert (await service.client.delete("/models/resnet/versions/1", params={"cascade": "true"})).status_code == 204
    assert (await service.client.get("/deployments")).json()["items"] == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "resnet",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://user:pw@host/",
        "https://",
        "https://a b/",
        "ftp://a",
    ],
)
async def test_endpoints_that_are_refused(endpoint: str, memory_service: Service) -> None:
    await memory_service.model()
    await memory_service.version()
    answer = await memory_service.client.post(HERE, json=BODY | {"endpoint": endpoint})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/endpoint")


async def test_openapi_names_each_once(memory_service: Service) -> None:
    document = (await memory_service.client.get("/openapi.json")).json()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
    assert {"list_deployments", "list_all_deployments", "create_deployment"} <= set(names)
    assert {"Deployment", "DeploymentPage"} <= set(document["components"]["schemas"])
    assert not [name for name in document["components"]["schemas"] if "__" in name]


async def test_openapi_says_of_each_operation_what_it_does(memory_service: Service) -> None:
    document = (await memory_service.client.get("/openapi.json")).json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert [one["operationId"] for one in operations if not one.get("description")] == []
    assert [one["operationId"] for one in operations if ".py" in one["description"]] == []
