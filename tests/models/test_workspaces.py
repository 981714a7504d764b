"""Workspaces: tenants that see nothing of each other."""

from typing import Any

import pytest
from tests.models.application import MERGE_PATCH, Service, at

OURS = {"X-Regesta-Workspace": "ours"}
THEIRS = {"X-Regesta-Workspace": "theirs"}


async def test_the_same_name_in_two_workspaces(any_service: Service) -> None:
    client = any_service.client
    for headers in (OURS, THEIRS):
        created = await client.post(
            "/models", json={"name": "resnet", "owner": headers["X-Regesta-Workspace"]}, headers=headers
        )
        assert created.status_code == 201
        assert created.json()["workspace"] == headers["X-Regesta-Workspace"]
        assert (await client.post("/models", json={"name": "resnet"}, headers=headers)).status_code == 409
    for headers in (OURS, THEIRS):
        listed = (await client.get("/models", headers=headers)).json()["items"]
        assert [item["owner"] for item in listed] == [headers["X-Regesta-Workspace"]]
        read = (await client.get(at("resnet"), headers=headers)).json()
        assert read["owner"] == headers["X-Regesta-Workspace"]
    assert (await client.get("/models")).json()["items"] == []


async def test_numbers_and_aliases_are_each_workspaces_own(service: Service) -> None:
    client = service.client
    for headers in (OURS, THEIRS):
        await client.post("/models", json={"name": "resnet"}, headers=headers)
        for number in (1, 2):
            created = await client.post("/models/resnet/versions", json={}, headers=headers)
            assert created.json()["number"] == number
    alias = "/models/resnet/aliases/champion"
    assert (await client.put(alias, json={"version": 1}, headers=OURS)).status_code == 201
    assert (await client.get(alias, headers=THEIRS)).status_code == 404
    assert (await client.put(alias, json={"version": 2}, headers=THEIRS)).status_code == 201
    assert (await client.get(alias, headers=OURS)).json()["number"] == 1
    assert (await client.get("/models/resnet/aliases", headers=OURS)).json() == {"champion": 1}
    assert (await client.delete(alias, headers=THEIRS)).status_code == 204
    assert (await client.get(alias, headers=OURS)).json()["number"] == 1


async def test_nothing_of_another_workspace_is_there(service: Service) -> None:
    client = service.client
    await client.post("/models", json={"name": "secret"}, headers=OURS)
    await client.post("/models/secret/versions", json={}, headers=OURS)
    await client.put("/models/secret/aliases/champion", json={"version": 1}, headers=OURS)
    stored = await service.database["versions"].find({}).to_list(10)

    target: dict[str, Any] = {"json": {"version": 1}}
    patch: dict[str, Any] = {"json": {"description": "x"}, "headers": MERGE_PATCH}
    for method, path, more in (
        ("GET", "/models/secret", {}),
        ("PUT", "/models/secret", {"json": {}}),
        ("PATCH", "/models/secret", patch),
        ("DELETE", "/models/secret?cascade=true", {}),
        ("GET", "/models/secret/versions", {}),
        ("POST", "/models/secret/versions", {"json": {}}),
        ("GET", "/models/secret/versions/1", {}),
        ("PATCH", "/models/secret/versions/1", patch),
        ("DELETE", "/models/secret/versions/1", {}),
        ("GET", "/models/secret/aliases", {}),
        ("GET", "/models/secret/aliases/champion", {}),
        ("PUT", "/models/secret/aliases/champion", target),
        ("DELETE", "/models/secret/aliases/champion", {}),
    ):
        for workspace in ({}, THEIRS):
            headers = workspace | more.get("headers", {})
            answer = await client.request(method, path, **(more | {"headers": headers}))
            assert answer.status_code == 404, (method, path, answer.text)
    assert await service.database["versions"].find({}).to_list(10) == stored


async def test_a_model_of_the_same_name_does_not_open_another_workspaces_versions(service: Service) -> None:
    client = service.client
    for headers in (OURS, THEIRS):
        await client.post("/models", json={"name": "resnet"}, headers=headers)
    await client.post("/models/resnet/versions", json={}, headers=OURS)
    assert (await client.get("/models/resnet/versions", headers=THEIRS)).json()["items"] == []
    for method, path, body in (
        ("GET", "/models/resnet/versions/1", None),
        ("DELETE", "/models/resnet/versions/1", None),
        ("PUT", "/models/resnet/aliases/champion", {"version": 1}),
    ):
        assert (await client.request(method, path, headers=THEIRS, json=body)).status_code == 404
    assert (await client.delete("/models/resnet?cascade=true", headers=THEIRS)).status_code == 204
    assert (await client.get("/models/resnet/versions/1", headers=OURS)).status_code == 200


async def test_every_query_names_the_workspace(service: Service) -> None:
    """What the server was asked for, as it saw it."""
    client, database = service.client, service.database
    await client.post("/models", json={"name": "resnet"}, headers=OURS)
    await client.post("/models/resnet/versions", json={}, headers=OURS)
    await database.command({"profile": 2})
    for method, path, body in (
        ("GET", "/models", None),
        ("GET", "/models/resnet", None),
        ("PATCH", "/models/resnet", {"owner": "me"}),
        ("GET", "/models/resnet/versions?tags.key=a", None),
        ("POST", "/models/resnet/versions", {}),
        ("PUT", "/models/resnet/versions/2", {}),
        ("PUT", "/models/resnet/aliases/a", {"version": 1}),
        ("PUT", "/models/resnet/aliases/a", {"version": 2}),
        ("GET", "/models/resnet/aliases/a", None),
        ("GET", "/models/resnet/aliases", None),
        ("DELETE", "/models/resnet/aliases/a", None),
        ("DELETE", "/models/resnet/versions/1", None),
    ):
        headers = OURS | (MERGE_PATCH if method == "PATCH" else {})
        answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, (method, path, answer.text)
    await database.command({"profile": 0})
    seen = 0
    async for entry in database["system.profile"].find({"ns": {"$regex": r"\.(models|versions)$"}}):
        command = entry.get("command", {})
        asked = command.get("filter") or command.get("query")
        if asked and "_id" not in asked:  # a write names the document that such a query has found
            seen += 1
            assert asked["workspace"] == "ours", command
            assert entry["planSummary"].startswith("IXSCAN { workspace: 1"), entry["planSummary"]
    assert seen >= 20


async def test_names_of_workspaces(memory_service: Service) -> None:
    for name in ("", "Ours", "a b", "../x", "-a", "a" * 64):
        answer = await memory_service.client.get("/models", headers={"X-Regesta-Workspace": name})
        assert answer.status_code == 422, name
        assert answer.headers["content-type"] == "application/problem+json"
    sent = await memory_service.client.post("/models", json={"name": "a", "workspace": "theirs"}, headers=OURS)
    assert sent.status_code == 422


@pytest.mark.parametrize(
    "path", ["/models", "/models/a", "/models/a/aliases", "/models/a/versions/1/artifacts", "/versions"]
)
async def test_two_workspaces_are_none(memory_service: Service, path: str) -> None:
    """One may be the client's, the other what its proxy appends."""
    twice = [*OURS.items(), *THEIRS.items()]
    answer = await memory_service.client.get(path, headers=twice)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    (issue,) = answer.json()["errors"]
    assert issue["loc"] == ["header", "X-Regesta-Workspace"]
    assert issue["type"] == "repeated_header"
