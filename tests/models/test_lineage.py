"""Where versions come from, as a graph without cycles."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from tests.models.application import MERGE_PATCH, Service, at

import regesta_models.lineage
from regesta import Caller
from regesta.audit import AuditRecord
from regesta.service.problems import add_problem_handlers
from regesta.store import collection_of
from regesta_models import rename


def parents(*named: tuple[str, int], datasets: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"parents": [{"model": model, "version": number} for model, number in named], "datasets": list(datasets)}


async def made(service: Service, model: str, *named: tuple[str, int], datasets: tuple[str, ...] = ()) -> None:
    if (await service.client.get(at(model))).status_code == 404:
        await service.model(model)
    await service.version(model, lineage=parents(*named, datasets=datasets))


async def graph(service: Service, model: str, number: int, **parameters: Any) -> dict[str, Any]:
    answer = await service.client.get(f"{at(model)}/versions/{number}:lineage", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def nodes(found: dict[str, Any]) -> dict[str, int]:
    return {node["id"].removeprefix("version:"): node["distance"] for node in found["nodes"]}


def edges(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(e["from"].removeprefix("version:"), e["to"].removeprefix("version:")) for e in found["edges"]}


async def family(service: Service) -> None:
    await made(service, "base", datasets=("web",))
    await made(service, "tuned", ("base", 1), datasets=("imagenet",))
    await made(service, "merged", ("tuned", 1), ("base", 1), ("gone", 7))
    await made(service, "small", ("merged", 1))


async def test_up_and_down(service: Service) -> None:
    await family(service)
    found = await graph(service, "tuned", 1)
    assert found["root"] == "version:tuned/1"
    assert nodes(found) == {
        "tuned/1": 0, "dataset:imagenet": -1, "base/1": -1, "dataset:web": -2, "merged/1": 1, "small/1": 2,
    }  # fmt: skip
    assert edges(found) == {
        ("tuned/1", "dataset:imagenet"), ("tuned/1", "base/1"), ("base/1", "dataset:web"),
        ("merged/1", "tuned/1"), ("merged/1", "base/1"), ("small/1", "merged/1"),
    }  # fmt: skip
    assert found["truncated"] is False
    up = await graph(service, "small", 1, direction="up")
    assert nodes(up)["gone/7"] == -2
    assert [node["exists"] for node in up["nodes"] if node["id"] == "version:gone/7"] == [False]
    assert set(nodes(await graph(service, "small", 1, direction="up", depth=1))) == {"small/1", "merged/1"}
    down = await graph(service, "base", 1, direction="down", depth=1)
    assert set(nodes(down)) == {"base/1", "dataset:web", "tuned/1", "merged/1", "dataset:imagenet"}
    other = {"X-Regesta-Workspace": "other"}
    assert (await service.client.get(f"{at('base')}/versions/1:lineage", headers=other)).status_code == 404


async def test_other_workspaces_are_not_entered(service: Service) -> None:
    await family(service)
    other = {"X-Regesta-Workspace": "other"}
    await service.client.post("/models", json={"name": "spy"}, headers=other)
    sent = {"lineage": parents(("base", 1))}
    assert (await service.client.post("/models/spy/versions", json=sent, headers=other)).status_code == 201
    assert "spy/1" not in nodes(await graph(service, "base", 1, depth=20))
    seen = (await service.client.get("/models/spy/versions/1:lineage", headers=other)).json()
    assert [node["exists"] for node in seen["nodes"]] == [True, False]


async def test_the_nearest_of_too_many(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await family(service)
    monkeypatch.setattr(regesta_models.lineage, "MOST_NODES", 2)
    found = await graph(service, "base", 1)
    assert found["truncated"] is True
    assert set(nodes(found)) == {"base/1", "dataset:web", "tuned/1", "merged/1", "dataset:imagenet"}


async def card(service: Service, path: str, base_model: str) -> None:
    text = f"---\nbase_model: {base_model}\n---\n# Card\n"
    headers = {"Content-Type": "text/markdown"}
    answer = await service.client.put(f"{path}/card", content=text.encode(), headers=headers)
    assert answer.status_code in (200, 201), answer.text


async def test_base_models_of_cards(service: Service) -> None:
    """The card of a version counts more than that of its model; what it names may be anywhere."""
    await family(service)
    await card(service, "/models/base", "timm/resnet50")
    await card(service, "/models/tuned", "timm/other")
    await card(service, "/models/tuned/versions/1", "[small, timm/resnet50, small]")
    up = await graph(service, "merged", 1, direction="up")
    bases = {node["id"]: (node["distance"], node["exists"]) for node in up["nodes"] if node["type"] == "model"}
    assert bases == {"model:timm/resnet50": (-2, False), "model:small": (-2, True)}
    assert {(edge["from"], edge["to"]) for edge in up["edges"] if edge["kind"] == "based_on"} == {
        ("version:base/1", "model:timm/resnet50"),
        ("version:tuned/1", "model:timm/resnet50"),
        ("version:tuned/1", "model:small"),
    }
    assert "model:small" not in nodes(await graph(service, "merged", 1, direction="up", depth=1))
    down = await graph(service, "tuned", 1, direction="down")
    assert [node["id"] for node in down["nodes"] if node["type"] == "model"] == []
    await card(service, "/models/tuned/versions/1", "timm/vit")
    assert "model:timm/vit" in nodes(await graph(service, "tuned", 1, direction="both"))
    assert (await service.client.get("/models/tuned/card", headers={"Accept": "application/json"})).json().keys() == {
        "front_matter", "markdown", "updated_at", "updated_by",
    }  # fmt: skip


@pytest.mark.parametrize("named", [[("tuned", 1)], [("base", 1)], [("small", 1)], [("other", 1), ("small", 1)]])
async def test_no_version_is_made_from_itself(any_service: Service, named: list[tuple[str, int]]) -> None:
    await family(any_service)
    sent = {"lineage": parents(*named)}
    refused = await any_service.client.patch("/models/base/versions/1", json=sent, headers=MERGE_PATCH)
    assert (refused.status_code, refused.json()["code"]) == (409, "LINEAGE_CYCLE")
    allowed = {"lineage": parents(("elsewhere", 1))}
    answer = await any_service.client.patch("/models/base/versions/1", json=allowed, headers=MERGE_PATCH)
    assert answer.status_code == 200


async def test_not_by_a_version_that_comes_later(any_service: Service) -> None:
    await made(any_service, "a", ("b", 1))
    await any_service.model("b")
    refused = await any_service.client.post("/models/b/versions", json={"lineage": parents(("a", 1))})
    assert (refused.status_code, refused.json()["code"]) == (409, "LINEAGE_CYCLE")
    itself = await any_service.client.post("/models/b/versions", json={"lineage": parents(("b", 1))})
    # In memory nothing gives the number of the refused one back.
    assert itself.status_code in (201, 409)


async def test_two_changes_do_not_close_a_cycle_together(service: Service) -> None:
    for attempt in range(5):
        left, right = f"left{attempt}", f"right{attempt}"
        await made(service, left)
        await made(service, right)

        def patch(child: str, parent: str) -> Any:
            sent = {"lineage": parents((parent, 1))}
            return service.client.patch(f"{at(child)}/versions/1", json=sent, headers=MERGE_PATCH)

        answers = await asyncio.gather(patch(left, right), patch(right, left))
        assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_lineages_follow_a_new_name(service: Service) -> None:
    await family(service)
    child = await service.client.get("/models/tuned/versions/1")
    caller, time = Caller(scope={"workspace": "default"}), datetime.now(UTC)
    registry = service.registry
    await registry.run("models", lambda unit: rename(registry, caller, "base", "root", unit, time=time))
    trail = collection_of(AuditRecord)
    events = await trail.find({"resource": "versions", "action": "update"}).to_list(None)
    told = {(change["path"], change["value"]) for event in events for change in event["changes"]}
    assert ("/lineage/parents/0/model", "root") in told
    tag = (await service.client.get("/models/tuned/versions/1")).headers["etag"].strip('"')
    for revision in (tag, child.headers["etag"].strip('"')):
        past = await service.client.get("/models/tuned/versions/1", params={"revision": revision})
        assert past.status_code == 200, past.text
    found = await graph(service, "tuned", 1, direction="up")
    assert nodes(found) == {"tuned/1": 0, "dataset:imagenet": -1, "root/1": -1, "dataset:web": -2}
    merged = (await service.client.get("/models/merged/versions/1")).json()
    assert [parent["model"] for parent in merged["lineage"]["parents"]] == ["tuned", "root", "gone"]


async def test_other_methods_of_the_route(service: Service) -> None:
    add_problem_handlers(service.app)
    answer = await service.client.request("BREW", "/models/base/versions/1:lineage")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    escaped = await service.client.request("BREW", "/models/base/versions/1%3Alineage")
    assert escaped.headers["allow"] == "DELETE, GET, HEAD, PATCH, PUT"


async def test_within_one_import(service: Service) -> None:
    await service.model("a")
    lines = "".join(f'{{"lineage": {{"parents": [{{"model": "a", "version": {n}}}]}}}}\n' for n in (2, 1))
    sent = {"Content-Type": "application/x-ndjson"}
    answer = await service.client.post("/models/a/versions", content=lines, headers=sent)
    assert "LINEAGE_CYCLE" in answer.text
    assert '"created":1' in answer.text.replace(" ", "")


@pytest.mark.parametrize("query", ["depth=0", "depth=x", "direction=sideways", "x=1"])
async def test_what_means_nothing(memory_service: Service, query: str) -> None:
    await memory_service.model("a")
    await memory_service.version("a")
    assert (await memory_service.client.get(f"/models/a/versions/1:lineage?{query}")).status_code == 422
    assert (await memory_service.client.get("/models/a/versions/1:lineage")).status_code == 501


async def test_openapi_says_what_is_answered(service: Service) -> None:
    await family(service)
    document = (await service.client.get("/openapi.json")).json()
    declared = document["paths"]["/models/{model}/versions/{version}:lineage"]["get"]
    reference = declared["responses"]["200"]["content"]["application/json"]["schema"]
    found = await graph(service, "merged", 1)
    jsonschema_rs.validate({**reference, "components": document["components"]}, found)
    assert (await service.client.get("/models/base/versions/1")).status_code == 200
    assert (await service.client.get("/models/base/versions/9:lineage")).status_code == 404
