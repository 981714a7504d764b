"""Versions of one model side by side."""

import asyncio
from typing import Any

import jsonschema_rs
import pytest
from tests.models.application import Service, at

from regesta_models.comparison import Direction, Facts, VersionComparison, comparison_of, direction_of
from regesta_models.documents import Version
from regesta_models.parts import Environment, Metric, Signature, Tensor

PATH = "/models/resnet/versions:compare"


def tensor(*shape: int) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "dtype": "float32", "shape": list(shape)}], "outputs": []}


async def seeded(service: Service) -> None:
    await service.model()
    await service.version(
        params={"lr": 0.1, "depth": 1, "same": "x"},
        tags=[{"key": "family", "value": "cnn"}],
        metrics=[
            {"name": "top1", "value": 80, "dataset": "imagenet"},
            {"name": "top1", "value": 70, "dataset": "real"},
            {"name": "val_loss", "value": 1.5, "step": 2},
            {"name": "val_loss", "value": 9, "step": 1},
            {"name": "wingspan", "value": 3},
        ],
        signature=tensor(-1, 3),
        environment={"python": "3.11", "packages": ["torch==2.4.1", "Foo_Bar>=1", "old"]},
        artifacts=[{"path": "a", "size": 10, "sha256": "0" * 64}, {"path": "b", "size": 5, "sha256": "1" * 64}],
    )
    await service.version(
        params={"lr": 0.1, "depth": True, "new": 1},
        metrics=[
            {"name": "top1", "value": 81, "dataset": "imagenet"},
            {"name": "top1", "value": 70, "dataset": "real"},
            {"name": "val_loss", "value": 1.6, "step": 2},
            {"name": "wingspan", "value": 4},
            {"name": "f1", "value": 0.5},
        ],
        signature=tensor(-1, 3),
        environment={"python": "3.12", "packages": ["torch==2.5.0", "foo-bar>=1"]},
    )
    await service.version(metrics=[{"name": "wingspan", "value": 3}])


async def test_what_got_better_or_worse(any_service: Service) -> None:
    await seeded(any_service)
    answer = await any_service.client.get(PATH, params={"versions": "1,2,3"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["model"], found["versions"]) == ("resnet", [1, 2, 3])
    metrics = {(row["name"], row["dataset"]): row for row in found["metrics"]}
    assert metrics["top1", "imagenet"] == {
        "name": "top1", "dataset": "imagenet", "split": None, "direction": "higher",
        "values": [80.0, 81.0, None], "verdicts": ["better", "removed"],
    }  # fmt: skip
    assert metrics["top1", "real"]["verdicts"] == ["same", "removed"]
    assert (metrics["val_loss", None]["values"], metrics["val_loss", None]["verdicts"]) == (
        [1.5, 1.6, None], ["worse", "removed"],
    )  # fmt: skip
    assert (metrics["wingspan", None]["direction"], metrics["wingspan", None]["verdicts"]) == (
        None,
        ["changed", "same"],
    )
    assert metrics["f1", None]["verdicts"] == ["added", "missing"]
    params = {row["name"]: row for row in found["params"]}
    assert params["depth"] == {"name": "depth", "values": [1, True, None], "changed": True}
    assert {name for name, row in params.items() if not row["changed"]} == set()
    assert found["tags"] == [{"key": "family", "values": ["cnn", None, None], "changed": True}]
    assert found["signature"]["changed"] is True
    assert found["environment"]["python"] == ["3.11", "3.12", None]
    assert {row["name"]: row["values"] for row in found["environment"]["packages"]} == {
        "torch": ["==2.4.1", "==2.5.0", None], "foo-bar": [">=1", ">=1", None], "old": ["", None, None],
    }  # fmt: skip
    assert found["size"] == {"values": [15, 0, 0], "verdicts": ["better", "better"]}
    two = (await any_service.client.get(PATH, params={"versions": "2,1", "lower": "wingspan"})).json()
    assert two["versions"] == [2, 1]
    assert {row["name"]: row["verdicts"] for row in two["metrics"]}["wingspan"] == ["better"]
    both = (await any_service.client.get(PATH, params={"versions": "2,1", "lower": "top1", "higher": "top1"})).json()
    assert both["metrics"][0]["verdicts"] == ["changed"]
    assert (two["signature"]["changed"], {row["name"]: row["changed"] for row in two["params"]}["lr"]) == (False, False)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("versions=1,9,8", 404, "no version 9, 8"),
        ("versions=1", 422, "2 to 10"),
        ("versions=1,2,3,4,5,6,7,8,9,10,11", 422, "2 to 10"),
        ("versions=1,1", 422, "twice"),
        ("versions=1,x", 422, "numbers of versions"),
        ("versions=1,01", 422, "numbers of versions"),
        ("", 422, "is required"),
        ("versions=1,2&x=1", 422, "not a parameter"),
    ],
)
async def test_what_cannot_be_compared(memory_service: Service, query: str, status: int, said: str) -> None:
    await memory_service.model()
    await memory_service.version()
    answer = await memory_service.client.get(f"{PATH}?{query}")
    assert answer.status_code == status
    assert said in answer.text
    assert (await memory_service.client.get(f"{at('none')}/versions:compare?versions=1,2")).status_code == 404
    other = await memory_service.client.get(f"{PATH}?versions=1,2", headers={"X-Regesta-Workspace": "other"})
    assert other.status_code == 404


async def test_openapi_says_what_is_answered(memory_service: Service) -> None:
    await seeded(memory_service)
    document = (await memory_service.client.get("/openapi.json")).json()
    declared = document["paths"]["/models/{model}/versions:compare"]["get"]
    reference = declared["responses"]["200"]["content"]["application/json"]["schema"]
    answer = (await memory_service.client.get(PATH, params={"versions": "1,2,3"})).json()
    jsonschema_rs.validate({**reference, "components": document["components"]}, answer)
    (versions,) = [found for found in declared["parameters"] if found["name"] == "versions"]
    assert versions["required"] is True
    assert set(declared["responses"]) == {"200", "400", "404", "422", "503"}


def test_what_names_tell() -> None:
    lower = ("loss", "val_loss", "trainLoss", "top1_err", "p95 latency", "rmse", "WER")
    higher = ("top1", "accuracy", "val_acc", "f1", "ROC-AUC", "mAP", "r2")
    unknown = ("wingspan", "glossary", "x")
    assert {direction_of(name) for name in lower} == {Direction.LOWER}
    assert {name: direction_of(name) for name in higher} == dict.fromkeys(higher, Direction.HIGHER)
    assert {direction_of(name) for name in unknown} == {None}


async def test_others_get_their_turns_while_large_versions_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regesta.pacing.LONGEST_HOLD", 0)  # so each rest is a turn of others
    names = [f"n{number}" for number in range(100)]
    versions = [
        Version.model_construct(
            number=number,
            params=dict.fromkeys(names, number),
            metrics=[Metric(name=name, value=number) for name in names],
            tags=[],
            artifacts=[],
            environment=Environment(packages=names),
            signature=Signature(inputs=[Tensor(name=name, dtype="f") for name in names]),
        )
        for number in (1, 2)
    ]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    answer = await comparison_of("m", [Facts.of(version) for version in versions], {})
    other.cancel()

    found = VersionComparison.model_validate_json(answer)
    assert turns >= len(found.metrics) + len(found.params) + len(found.environment.packages) == 300
