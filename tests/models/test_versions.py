"""Versions: numbered by the server, described by the client."""

import asyncio
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter, ValidationError
from tests.models.application import DIGEST, MERGE_PATCH, Service

from regesta_models.constraints import ArtifactPath, Source

SOURCES: TypeAdapter[str] = TypeAdapter(Source)
PATHS: TypeAdapter[str] = TypeAdapter(ArtifactPath)

GOOD_SOURCES = [
    "s3://bucket/models/resnet",
    "https://github.com/onnx/models/raw/main/validated/vision/resnet50-v1-7.onnx",
    "hf://microsoft/resnet-50@main",
    "mlflow-artifacts:/1/2/artifacts/model",
    "oci://registry.example.com/models/resnet:1.0",
    "gs://bucket/100%25.bin",
    "https://example.com/a..b/...",
    "https://example.com/x%20y?versions=2..3",
    "https://example.com/profile:1",
    "https://example.com/модель",
]
BAD_SOURCES = [
    "",
    "resnet.onnx",
    "/etc/passwd",
    "C:\\models",
    "C:/models",
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "jar:file:///a.jar!/b",
    "simplecache::file:///etc/passwd",
    "javascript:alert(1)",
    "data:text/html,hi",
    "s3://bucket/../secret",
    "s3://bucket/..",
    "s3://bucket\\..\\secret",
    "s3://bucket/%2e%2e/secret",
    "s3://bucket/.%2E/secret",
    "s3://bucket/%252e%252e/secret",
    "s3://bucket/%25252e.%252fsecret",
    "s3://bucket/%25%32%65%2e/secret",
    "s3://bucket/a%2f..%2fsecret",
    "s3://bucket/..?x",
    "s3:..",
    "s3://bucket/a b",
    "s3://bucket/a\n",
    "s3://bucket/a\tb",
    "s3://bucket/%00",
    "s3://bucket/%250a",
    "s3://bucket/" + "%" + "25" * 20 + "41",
    "s3://" + "a" * 2048,
]
GOOD_PATHS = ["model.onnx", "a/b/c.bin", "with space.txt", ".hidden", "...", "a..b", "модель", "name:y", "100%"]
BAD_PATHS = ["", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "../a", "a/../b", "a\\b", "C:/a", "a\nb", "a\n", "a\x00"]
BAD_PATHS += ["%2e%2e/a", "a/%252e./b", "a%2f..%2fb", "a" * 1025, "a%00"]


def artifact(path: str = "model.onnx", **fields: Any) -> dict[str, Any]:
    return {"path": path, "size": 1, "sha256": DIGEST} | fields


FULL: dict[str, Any] = {
    "source": "s3://bucket/resnet",
    "description": "trained on Tuesday",
    "framework": "onnx",
    "tags": [{"key": "int8", "value": ""}],
    "status": "pending",
    "artifacts": [artifact("model.onnx", size=2**63 - 1), artifact("data/weights.bin", size=0)],
    "signature": {
        "inputs": [{"name": "data", "dtype": "tensor(float)", "shape": ["N", 3, 224, -1]}],
        "outputs": [{"name": "scalar", "dtype": "float32", "shape": []}],
    },
    "params": {"epochs": 90, "rate": 0.1, "amp": True, "optimizer": "sgd", "whole": 1.0},
    "metrics": [
        {
            "name": "top-1",
            "value": 76.1,
            "dataset": "ImageNet",
            "step": 90,
            "measured_at": "2024-02-29T12:00:00Z",
            "split": "validation",
        },
        {"name": "loss", "value": -1.0, "dataset": None, "split": None, "step": None, "measured_at": None},
    ],
    "lineage": {"parents": [{"model": "base", "version": 1}], "datasets": ["ImageNet 1k"]},
    "environment": {"python": "3.12.4", "packages": ["torch==2.4.1", "numpy>=1.26; python_version < '3.13'"]},
    "run": {"id": "6f1c", "link": "https://runs.example/6f1c"},
    "code": {"repository": "https://git.example/resnet.git", "commit": "0123abc"},
    "deprecation": {"reason": "worse than 2", "since": "2024-03-01T00:00:00Z", "replacement": None},
    "protected": False,
    "status_message": "files are on their way",
    "stage": "Staging",
}


async def test_everything_said_of_a_version_is_kept(any_service: Service) -> None:
    await any_service.model()
    created = await any_service.client.post("/models/resnet/versions", json=FULL)
    assert created.status_code == 201, created.text
    assert created.headers["location"] == "/models/resnet/versions/1"
    version = created.json()
    assert {name: version[name] for name in FULL} == FULL
    assert [type(value) for value in version["params"].values()] == [int, float, bool, str, float]
    assert (version["number"], version["aliases"]) == (1, [])

    read = await any_service.client.get("/models/resnet/versions/1")
    assert read.json() == version
    assert read.headers["etag"] == created.headers["etag"]


async def test_a_version_needs_nothing(any_service: Service) -> None:
    await any_service.model()
    version = await any_service.version()
    assert version["status"] == "ready"
    assert version["source"] is None
    assert version["artifacts"] == version["metrics"] == version["tags"] == []


async def test_the_kind_of_a_number_is_a_change(any_service: Service) -> None:
    await any_service.model()
    before = await any_service.version(params={"a": 1}, status="pending")
    patch = {"params": {"a": 1.0}}
    after = (await any_service.client.patch("/models/resnet/versions/1", json=patch, headers=MERGE_PATCH)).json()
    assert isinstance(after["params"]["a"], float)
    assert after["updated_at"] > before["updated_at"]


async def test_a_version_needs_its_model(any_service: Service) -> None:
    for answer in (
        await any_service.client.post("/models/nobody/versions", json={}),
        await any_service.client.get("/models/nobody/versions"),
        await any_service.client.get("/models/nobody/versions/1"),
    ):
        assert answer.status_code == 404


WRONG: list[dict[str, Any]] = [
    {"number": 7},
    {"model_id": "6b03b397aa653b98afec24b5"},
    {"aliases": ["champion"]},
    {"status": "done"},
    {"source": 5},
    {"artifacts": [artifact("a"), artifact("b"), artifact("a", size=2)]},
    {"artifacts": [artifact(size=-1)]},
    {"artifacts": [artifact(size=2**63)]},
    {"artifacts": [artifact(size="1")]},
    {"artifacts": [artifact(sha256=DIGEST.upper())]},
    {"artifacts": [artifact(sha256=DIGEST[1:])]},
    {"artifacts": [artifact(sha256=DIGEST + "\n")]},
    {"artifacts": [artifact(mode="rw")]},
    {"artifacts": [{"path": "a"}]},
    {"signature": {"inputs": [{"name": "i", "dtype": "f", "shape": [True]}]}},
    {"signature": {"inputs": [{"name": "i", "dtype": "f", "shape": [-2]}]}},
    {"signature": {"inputs": [{"name": "i", "dtype": "f", "shape": [""]}]}},
    {"signature": {"inputs": [{"name": "i", "dtype": "f", "shape": [1.5]}]}},
    {"params": {"a": None}},
    {"params": {"a": [1]}},
    {"params": {"a.b": 1}},
    {"params": {"a\tb": 1}},
    {"params": {"a": "x" * 6001}},
    {"params": {str(number): number for number in range(1001)}},
    {"metrics": [{"name": "a", "value": "1"}]},
    {"metrics": [{"name": "a"}]},
    {"metrics": [{"name": "a", "value": 1, "step": -1}]},
    {"lineage": {"parents": [{"model": "a/b", "version": 1}]}},
    {"lineage": {"parents": [{"model": "a", "version": 0}]}},
]


async def test_versions_that_are_refused(memory_service: Service) -> None:
    await memory_service.model()
    for fields in WRONG:
        refused = await memory_service.client.post("/models/resnet/versions", json=fields)
        assert refused.status_code == 422, fields
        (name,) = fields
        assert all(error["pointer"].startswith(f"/{name}") for error in refused.json()["errors"])


async def test_a_number_that_is_not_finite_is_refused(memory_service: Service) -> None:
    await memory_service.model()
    for value in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = f'{{"metrics": [{{"name": "a", "value": {value}}}]}}'
        headers = {"Content-Type": "application/json"}
        refused = await memory_service.client.post("/models/resnet/versions", content=body, headers=headers)
        assert refused.status_code in (400, 422), value


@pytest.mark.parametrize("source", GOOD_SOURCES, ids=ascii)
def test_sources_that_are_taken(source: str) -> None:
    assert SOURCES.validate_python(source) == source


@pytest.mark.parametrize("source", BAD_SOURCES, ids=lambda source: ascii(source[:50]))
def test_sources_that_are_refused(source: str) -> None:
    with pytest.raises(ValidationError):
        SOURCES.validate_python(source)


@pytest.mark.parametrize("path", GOOD_PATHS, ids=ascii)
def test_paths_that_are_taken(path: str) -> None:
    assert PATHS.validate_python(path) == path


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda path: ascii(path[:50]))
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        PATHS.validate_python(path)


def test_the_schema_says_the_same() -> None:
    """All but what hides behind encoded digits, and what is encoded without end."""
    hidden = {"s3://bucket/%25%32%65%2e/secret", "s3://bucket/" + "%" + "25" * 20 + "41"}
    source = jsonschema_rs.validator_for(SOURCES.json_schema())
    assert [text for text in GOOD_SOURCES if not source.is_valid(text)] == []
    assert {text for text in BAD_SOURCES if source.is_valid(text)} == hidden
    path = jsonschema_rs.validator_for(PATHS.json_schema())
    assert [text for text in GOOD_PATHS if not path.is_valid(text)] == []
    assert [text for text in BAD_PATHS if path.is_valid(text)] == []


async def test_versions_are_numbered_without_gaps(service: Service) -> None:
    await service.model()
    await service.model("other")

    async def create(number: int) -> int:
        created = await service.version(params={"sent": number})
        assert created["params"] == {"sent": number}
        return int(created["number"])

    numbers = await asyncio.gather(*(create(number) for number in range(50)))
    assert sorted(numbers) == list(range(1, 51))
    assert (await service.version("other"))["number"] == 1


async def test_a_refused_version_takes_no_number(service: Service) -> None:
    await service.model()
    assert (await service.version())["number"] == 1
    for fields in ({"source": "file:///x"}, {"status": "done"}):
        assert (await service.client.post("/models/resnet/versions", json=fields)).status_code == 422
    assert (await service.version())["number"] == 2


async def test_a_number_is_never_given_again(any_service: Service) -> None:
    await any_service.model()
    await any_service.version()
    await any_service.version()
    assert (await any_service.client.delete("/models/resnet/versions/2")).status_code == 204
    assert (await any_service.version())["number"] == 3
    assert (await any_service.client.get("/models/resnet/versions/2")).status_code == 404


async def test_a_number_stays(any_service: Service) -> None:
    await any_service.model()
    await any_service.version()
    for name, value in (("number", 2), ("model_id", "6b03b397aa653b98afec24b5"), ("aliases", ["a"])):
        answer = await any_service.client.patch("/models/resnet/versions/1", json={name: value}, headers=MERGE_PATCH)
        assert answer.status_code == 422


async def test_versions_are_found(service: Service) -> None:
    await service.model()
    await service.model("other")
    await service.version("other", tags=[{"key": "a"}])
    await service.version(tags=[{"key": "a"}], status="pending")
    await service.version(tags=[{"key": "b"}], artifacts=[artifact(sha256="a" * 64)])
    await service.version(tags=[{"key": "a"}])

    async def numbers(**query: Any) -> list[int]:
        answer = await service.client.get("/models/resnet/versions", params=query)
        assert answer.status_code == 200, answer.text
        return [item["number"] for item in answer.json()["items"]]

    assert await numbers() == [1, 2, 3]
    assert await numbers(sort="-number", page_size=1) == [3]
    assert await numbers(**{"tags.key": "a"}) == [1, 3]
    assert await numbers(status="pending") == [1]
    assert await numbers(**{"artifacts.sha256": "a" * 64}) == [2]


@pytest.mark.parametrize("sort", ["number", "-number"])
async def test_the_orders_are_served_by_an_index(sort: str, service: Service) -> None:
    await service.model()
    await service.version()
    await service.database.command({"profile": 2})
    await service.client.get("/models/resnet/versions", params={"sort": sort})
    await service.database.command({"profile": 0})
    (entry,) = await service.database["system.profile"].find({"op": "query", "command.find": "versions"}).to_list(2)
    assert not entry.get("hasSortStage", False)
    assert entry["planSummary"] == "IXSCAN { workspace: 1, model_id: 1, number: 1 }"


async def test_audit_events_tell_of_which_model_a_version_is(any_service: Service) -> None:
    ids = [(await any_service.model(name))["id"] for name in ("a", "b")]
    for name in ("a", "b"):
        await any_service.version(name)
    events = (await any_service.client.get("/audit-events?resource=versions")).json()["items"]
    assert {(event["subject"], event["data"]["parent"]) for event in events} == {("1", ids[0]), ("1", ids[1])}
    found = (await any_service.client.get("/audit-events", params={"resource": "versions", "parent": ids[1]})).json()
    assert [event["data"]["parent"] for event in found["items"]] == [ids[1]]
    models = (await any_service.client.get("/audit-events?resource=models")).json()["items"]
    assert [event["data"]["parent"] for event in models] == [None, None]
