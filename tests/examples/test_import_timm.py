"""The import of the timm tables, as a program that talks to a server, and the stream it uses."""

import json
from typing import Any

import pytest
from tests.examples.test_import_onnx_zoo import listening
from tests.examples.test_import_onnx_zoo import run as run_example
from tests.models.application import OLD_BEANIE, Service, audited, serve

pytestmark = OLD_BEANIE

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def service(database: Any) -> Any:
    async with serve(database) as opened:
        yield opened


async def run(*arguments: str) -> tuple[int | None, list[str], str]:
    return await run_example(*arguments, example="import_timm.py")


async def stored(service: Service) -> list[Any]:
    return [await service.database[name].find({}).sort("_id", 1).to_list(None) for name in ("models", "versions")]


async def test_it_registers_all_of_it_once(service: Service) -> None:
    async with listening(service.app, "/api/v1") as url:
        code, lines, complaints = await run(url)
        assert (code, complaints) == (0, "")
        assert "registered 1266 new models and 1556 new versions" in lines
        assert '1556 lines: {"created": 1556, "skipped": 0, "failed": 0}' in lines
        refused = lines.index("  resnet50.a1_in1k, version 1: refused")
        assert [line.strip().partition(":")[0] for line in lines[refused + 1 : -1]] == ["metric", "metric"]
        assert lines[-1] == "  eva_giant_patch14_336.clip_ft_in1k, version 1: is imagenet-champion"
        (said,) = [line for line in lines if line.startswith('metrics.top1.imagenet > 85 AND tags.family = "vit": ')]
        first = await stored(service)
        await other_examples_are_free(service)

        code, lines, complaints = await run(url)
        assert (code, complaints) == (0, "")
        assert "nothing changed: all of it was there" in lines
        assert await stored(service) == first
    models, versions = first
    assert (len(models), len(versions)) == (1266, 1556)
    assert {len(version["metrics"]) for version in versions} == {16}
    assert len({version["model"] for version in versions}) == len([v for v in versions if v["latest"]]) == 1266
    vit = [version for version in versions if {"key": "family", "value": "vit"} in version["tags"]]
    measured = ("top1", "imagenet")
    good = [v for v in vit if any((m["name"], m["dataset"]) == measured and m["value"] > 85 for m in v["metrics"])]
    assert said == f'metrics.top1.imagenet > 85 AND tags.family = "vit": {len(good)} versions, the newest of them'
    assert len(good) > 20
    # A policy, a promotion, and the alias on its version are changes as well.
    assert len(await audited(service)) == 1266 + 1556 + 3
    answer = await service.client.get("/models/resnet50.a1_in1k/versions")
    first_version, version = answer.json()["items"]
    assert version["params"] == {"img_size": 288, "param_count": 25.56, "crop_pct": 1.0, "interpolation": "bicubic"}
    assert first_version["params"]["img_size"] == 224
    assert {metric["dataset"] for metric in version["metrics"]} == {
        "imagenet", "imagenet-real", "imagenetv2-matched-frequency", "imagenet-sketch",
    }  # fmt: skip


async def other_examples_are_free(service: Service) -> None:
    """The policy that the example leaves behind does not guard the alias of `mlflow_sklearn.py`."""
    moved = await service.client.put(
        "/models/resnet50.a1_in1k/aliases/champion?validate_only=true", json={"version": 1}
    )
    assert moved.status_code == 200, moved.text


async def test_what_lines_say(service: Service) -> None:
    await service.model("there")
    bodies = [
        {"model": {"name": "there", "task": "ignored: it is there"}, "version": {"source": "s3://a"}},
        {"model": {"name": "new", "task": "t"}, "version": {"source": "s3://a", "params": {"x": 1}}},
        {"model": {"name": "new"}, "version": {"source": "s3://a"}},
        {"model": {"name": "half"}, "version": {"source": "file:///etc"}},
        {"model": {"name": "a/b"}, "version": {"source": "s3://a"}},
        {"model": {"name": "x"}},
        {"model": {"name": "x"}, "version": {"source": "s3://a", "number": 7}},
        {"model": {"name": "new"}, "version": {"source": "s3://b"}, "more": 1},
        [],
    ]
    lines = "".join(json.dumps(body) + "\n" for body in bodies) + "{nonsense\n"
    answer = await service.client.post("/versions", content=lines, headers=NDJSON)
    *found, summary = [json.loads(line) for line in answer.text.splitlines()]
    assert summary == {"summary": {"created": 2, "skipped": 0, "failed": 8}}
    assert [line["status"] for line in found] == [201, 201, 409, 422, 422, 422, 422, 422, 422, 400]
    assert found[1]["model_created"] is True
    assert found[0]["model_created"] is False
    assert found[2]["problem"]["code"] == "DUPLICATE"
    assert {model["name"] for model in (await stored(service))[0]} == {"there", "new"}
    assert [event["resource"] for event in await audited(service)] == ["models", "versions", "models", "versions"]
    again = await service.client.post("/versions?on_conflict=skip", content=lines, headers=NDJSON)
    assert json.loads(again.text.splitlines()[-1]) == {"summary": {"created": 0, "skipped": 3, "failed": 7}}


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Content-Type": "application/json"}, "", 415),
        ({**NDJSON, "Idempotency-Key": '"a"'}, "", 422),
        (NDJSON, "?on_conflict=replace", 422),
        (NDJSON, "?x=1", 422),
        ({**NDJSON, "If-Match": '"a"'}, "", 412),
    ],
)
async def test_what_is_refused(service: Service, headers: dict[str, str], query: str, status: int) -> None:
    answer = await service.client.post(f"/versions{query}", content="{}\n", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_server_that_is_something_else() -> None:
    code, lines, complaint = await run("ftp://127.0.0.1")
    assert (code, lines, complaint.count("\n")) == (1, [], 1)
