"""`latest` and `@alias` in place of a version's number: for reads, never for writes."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.models.application import MERGE_PATCH, Service

VERSIONS = "/models/resnet/versions"
MARKDOWN = {"Content-Type": "text/markdown"}


async def three(service: Service) -> Service:
    """Three versions: 2 is champion."""
    await service.model()
    for number in range(1, 4):
        await service.version(description=f"number {number}")
    assert (await service.point("champion", 2)).status_code == 201
    return service


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 422 and "GET it" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(("key", "number"), [("latest", 3), ("@champion", 2), ("%40champion", 2), ("l%61test", 3)])
async def test_a_get_answers_the_version_and_its_path(any_service: Service, key: str, number: int) -> None:
    client = (await three(any_service)).client
    answer, direct = await client.get(f"{VERSIONS}/{key}"), await client.get(f"{VERSIONS}/{number}")
    assert (answer.status_code, answer.content) == (200, direct.content)
    assert answer.headers["etag"] == direct.headers["etag"]
    assert answer.headers["content-location"] == f"{VERSIONS}/{number}"
    assert "content-location" not in direct.headers

    head = await client.head(f"{VERSIONS}/{key}")
    assert (head.status_code, head.headers["content-location"]) == (200, f"{VERSIONS}/{number}")
    known = await client.get(f"{VERSIONS}/{key}", headers={"If-None-Match": direct.headers["etag"]})
    assert (known.status_code, known.headers["content-location"]) == (304, f"{VERSIONS}/{number}")
    some = await client.get(f"{VERSIONS}/{key}?fields=status")
    assert some.json() == {"number": number, "status": "ready"}
    assert some.headers["content-location"] == f"{VERSIONS}/{number}?fields=status"


async def test_what_stands_there_moves(any_service: Service) -> None:
    client = (await three(any_service)).client
    assert (await client.delete(f"{VERSIONS}/3")).status_code == 204
    assert (await client.get(f"{VERSIONS}/latest")).json()["number"] == 2
    await any_service.version(status="pending")
    assert (await client.get(f"{VERSIONS}/latest")).json()["number"] == 4
    assert (await any_service.point("champion", 1)).status_code == 200
    assert (await client.get(f"{VERSIONS}/@champion")).json()["number"] == 1
    assert (await client.delete("/models/resnet/aliases/champion")).status_code == 204
    assert (await client.get(f"{VERSIONS}/@champion")).status_code == 404


@pytest.mark.parametrize("key", ["@challenger", "latest"])
@pytest.mark.parametrize("below", ["", ":history", "/card", "/artifacts", "/artifacts/a.bin", "/deployments"])
async def test_what_stands_for_nothing_is_not_found(memory_service: Service, key: str, below: str) -> None:
    await memory_service.model()
    answer = await memory_service.client.get(f"{VERSIONS}/{key}{below}")
    assert (answer.status_code, answer.json()["detail"]) == (404, f"'{key}' stands for no version")
    assert "content-location" not in answer.headers
    assert (await memory_service.client.get(f"/models/none/versions/{key}{below}")).status_code == 404


@pytest.mark.parametrize("key", ["Latest", "@", "@a.b", "@a b", "champion", "latest%20", "@champion:", "@@champion"])
async def test_other_texts_are_no_keys(memory_service: Service, key: str) -> None:
    client = (await three(memory_service)).client
    answer = await client.get(f"{VERSIONS}/{key}")
    assert answer.status_code == 422
    assert "is no key of versions" in answer.json()["errors"][0]["message"]


async def test_reads_below_a_version(service: Service) -> None:
    client = (await three(service)).client
    assert (await client.put(f"{VERSIONS}/2/card", content="# Two", headers=MARKDOWN)).status_code == 201
    await service.created(f"{VERSIONS}/2/deployments", {"name": "eu", "environment": "production"})
    await service.created(f"{VERSIONS}/2/deployments", {"name": "us", "environment": "production"})
    approved = await client.post(f"{VERSIONS}/2/approvals", json={"comment": "good"}, headers={"X-Actor": "ann"})
    assert approved.status_code == 201
    below = ["", "/card", "/artifacts", "/deployments", "/deployments/eu", "/approvals", "/deployments:facets?by=name"]
    for path in (*below, ":history", ":lineage", ":lineage?depth=1", "/deployments?sort=-name"):
        answer, direct = await client.get(f"{VERSIONS}/@champion{path}"), await client.get(f"{VERSIONS}/2{path}")
        assert (answer.status_code, answer.content) == (200, direct.content), path
        assert answer.headers["content-location"] == f"{VERSIONS}/2{path}"
    exported = await client.get(f"{VERSIONS}/@champion/deployments", headers={"Accept": "application/x-ndjson"})
    assert len(exported.text.splitlines()) == 2
    assert exported.headers["content-location"] == f"{VERSIONS}/2/deployments"
    past = (await client.get(f"{VERSIONS}/2:history")).json()["items"][-1]["revision"]
    before = await client.get(f"{VERSIONS}/@champion", params={"revision": past})
    assert (before.status_code, before.json()["aliases"], before.json()["number"]) == (200, [], 2)


async def test_the_next_page_is_that_of_the_same_version(memory_service: Service) -> None:
    client = (await three(memory_service)).client
    for name in ("eu", "us"):
        await memory_service.created(f"{VERSIONS}/3/deployments", {"name": name, "environment": "production"})
    first = await client.get(f"{VERSIONS}/latest/deployments?page_size=1")
    await memory_service.version()
    following = await client.get(first.links["next"]["url"])
    assert [item["name"] for item in following.json()["items"]] == ["us"]


async def test_files(service: Service) -> None:
    artifacts = await service.pending()
    assert (await service.client.put(f"{artifacts}/a/b.bin", content=b"bytes")).status_code == 201
    got = await service.client.get(f"{VERSIONS}/latest/artifacts/a%2Fb.bin", headers={"Range": "bytes=1-2"})
    assert (got.status_code, got.content) == (206, b"yt")
    assert got.headers["content-location"] == f"{VERSIONS}/1/artifacts/a/b.bin"


async def test_names_like_paths(memory_service: Service) -> None:
    for name in ("versions", "latest", "größe ü?"):
        await memory_service.model(name)
        await memory_service.version(name)
        quoted = httpx.URL(f"http://x/models/{name.replace('?', '%3F')}/versions/latest").raw_path.decode()
        answer = await memory_service.client.get(quoted)
        assert answer.json()["number"] == 1
        assert answer.headers["content-location"] == quoted.removesuffix("latest") + "1"


async def test_compare(any_service: Service) -> None:
    client = (await three(any_service)).client
    path = f"{VERSIONS}:compare"
    found = await client.get(path, params={"versions": "1,latest,@champion"})
    assert (found.status_code, found.json()["versions"]) == (200, [1, 3, 2])
    for twice in ("3,latest", "latest,latest", "@champion,2"):
        answer = await client.get(path, params={"versions": twice})
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (422, "names a version twice")
    assert (await client.get(path, params={"versions": "1,@none"})).status_code == 404


@pytest.mark.parametrize("key", ["latest", "@champion", "%40champion"])
async def test_writes_and_watches_take_numbers_only(service: Service, key: str) -> None:
    client, path = (await three(service)).client, f"{VERSIONS}/{key}"
    body, events = {"description": "x"}, {"Accept": "text/event-stream"}
    assert refused(await client.patch(path, json=body, headers=MERGE_PATCH))
    assert refused(await client.put(path, json=body))
    assert refused(await client.delete(path))
    assert refused(await client.post(f"{path}:revert", json={"revision": "0" * 32}))
    assert refused(await client.put(f"{path}/card", content="# Card", headers=MARKDOWN))
    assert refused(await client.delete(f"{path}/card"))
    assert refused(await client.put(f"{path}/artifacts/a", content=b"x"))
    assert refused(await client.delete(f"{path}/artifacts/a"))
    assert refused(await client.post(f"{path}/approvals", json={"comment": "x"}))
    assert refused(await client.post(f"{path}/deployments", json={"name": "eu", "environment": "production"}))
    assert refused(await client.get(path, headers=events))
    assert refused(await client.get(f"{path}/deployments", headers=events))
    operation = {"op": "patch", "key": key, "body": body}
    batch = await client.post(f"{VERSIONS}:batch", json={"operations": [operation]})
    assert (batch.status_code, "no key" in batch.text or "GET it" in batch.text) == (422, True), batch.text
    found = (await client.get(VERSIONS)).json()["items"]
    assert [item["description"] for item in found] == ["number 1", "number 2", "number 3"]


def test_openapi_tells_it_of_reads_alone(described: dict[str, Any]) -> None:
    shown: dict[bool, set[str]] = {True: set(), False: set()}
    for path, verbs in described["paths"].items():
        if not path.startswith("/models/{model}/versions/{version}"):
            continue
        for verb, operation in verbs.items():
            (parameter,) = [one for one in operation["parameters"] if one["name"] == "version"]
            patterns = [one.get("pattern") for one in parameter["schema"].get("anyOf", [])]
            assert patterns in ([], [None, "^(?:latest)$", r"^(?:@[A-Za-z0-9_\-]{1,255})$"]), path
            shown[bool(patterns)].add(verb)
            located = "Content-Location" in operation["responses"].get("200", {}).get("headers", {})
            assert located == (bool(patterns) and not path.endswith(":schema")), (verb, path)
    assert shown == {True: {"get"}, False: {"put", "patch", "post", "delete"}}


@pytest.fixture
def described(memory_service: Service) -> dict[str, Any]:
    app: FastAPI = memory_service.app
    return app.openapi()
