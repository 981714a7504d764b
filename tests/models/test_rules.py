"""What stands, stays: protected documents, and what a ready version is made of."""

from typing import Any

import pytest
from tests.models.application import DIGEST, MERGE_PATCH, Service

CHANGES: list[dict[str, Any]] = [
    {"source": "s3://bucket/other"},
    {"artifacts": []},
    {"params": {"epochs": 1.0}},
    {"signature": None},
]
MADE_OF: dict[str, Any] = {
    "source": "s3://bucket/resnet",
    "artifacts": [{"path": "model.onnx", "size": 1, "sha256": DIGEST}],
    "params": {"epochs": 1},
    "signature": {"inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3]}], "outputs": []},
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(next(iter(change))))
async def test_what_a_ready_version_is_made_of_is_sealed(any_service: Service, change: dict[str, Any]) -> None:
    await any_service.model()
    before = await any_service.version(**MADE_OF)
    answer = await any_service.client.patch("/models/resnet/versions/1", json=change, headers=MERGE_PATCH)
    assert (answer.status_code, answer.json()["code"]) == (409, "SEALED"), answer.text
    assert next(iter(change)) in answer.json()["detail"]
    assert (await any_service.client.get("/models/resnet/versions/1")).json() == before


async def test_a_pending_version_changes_until_it_is_ready(any_service: Service) -> None:
    await any_service.model()
    await any_service.version(**MADE_OF, status="pending")
    url = "/models/resnet/versions/1"
    for change in (*CHANGES, {"status": "ready"}):
        answer = await any_service.client.patch(url, json=change, headers=MERGE_PATCH)
        assert answer.status_code == 200, answer.text
    answer = await any_service.client.patch(url, json={"params": {"epochs": 2}}, headers=MERGE_PATCH)
    assert answer.json()["code"] == "SEALED"


async def test_what_is_said_about_a_ready_version_may_change(any_service: Service) -> None:
    await any_service.model()
    await any_service.version(**MADE_OF)
    said = {
        "description": "better",
        "metrics": [{"name": "top1", "value": 1}],
        "tags": [{"key": "reviewed", "value": "yes"}],
        "deprecation": {"reason": "old", "replacement": {"model": "resnet", "version": 2}},
    }
    answer = await any_service.client.patch("/models/resnet/versions/1", json=said, headers=MERGE_PATCH)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("first", "then"), [("ready", "pending"), ("ready", "failed"), ("failed", "ready")])
async def test_ready_and_failed_are_final(any_service: Service, first: str, then: str) -> None:
    await any_service.model()
    await any_service.version(status=first)
    answer = await any_service.client.patch("/models/resnet/versions/1", json={"status": then}, headers=MERGE_PATCH)
    assert (answer.status_code, answer.json()["code"]) == (409, "STATUS_IS_FINAL")


async def test_what_is_protected_is_not_deleted(any_service: Service) -> None:
    await any_service.model(protected=True)
    answer = await any_service.client.delete("/models/resnet")
    assert (answer.status_code, answer.json()["code"]) == (409, "PROTECTED")
    await any_service.client.patch("/models/resnet", json={"protected": False}, headers=MERGE_PATCH)
    await any_service.version(protected=True)
    answer = await any_service.client.delete("/models/resnet/versions/1")
    assert (answer.status_code, answer.json()["code"]) == (409, "PROTECTED")


async def test_a_protected_version_keeps_its_model(service: Service) -> None:
    await service.model()
    await service.version(protected=True)
    answer = await service.client.delete("/models/resnet?cascade=true")
    assert (answer.status_code, answer.json()["code"]) == (409, "PROTECTED")
    assert (await service.client.get("/models/resnet/versions/1")).status_code == 200


async def test_the_kind_of_a_model_is_for_good(any_service: Service) -> None:
    await any_service.model(kind="prompt")
    answer = await any_service.client.patch("/models/resnet", json={"kind": "model"}, headers=MERGE_PATCH)
    assert answer.status_code == 422
    listed = await any_service.client.get("/models?kind=prompt")
    assert [model["name"] for model in listed.json()["items"]] == ["resnet"]
