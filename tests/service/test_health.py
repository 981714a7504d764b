"""`/livez` and `/readyz`."""

from pathlib import Path

import httpx
import pytest

from regesta.store import LocalServer

from .conftest import Serve, client_of, service


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_running_service_is_alive_and_ready(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await client.head(path)).status_code == 200


async def test_without_its_store_it_is_alive_and_not_ready(serve: Serve, tmp_path: Path) -> None:
    with LocalServer(tmp_path / "store") as server:
        async with client_of(service(store=server.uri)) as client:
            assert (await client.get("/readyz")).status_code == 200
            server.stop()

            answer = await client.get("/readyz")

            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["code"] == "STORE_UNAVAILABLE"
            assert answer.elapsed.total_seconds() < 2
            assert (await client.get("/livez")).status_code == 200


async def test_it_is_not_ready_before_start_up_and_after_shutdown(mongod_uri: str) -> None:
    app = service(store=mongod_uri)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as outside:
        before = await outside.get("/readyz")
        async with app.router.lifespan_context(app):
            within = await outside.get("/readyz")
        after = await outside.get("/readyz")

    assert [before.status_code, within.status_code, after.status_code] == [503, 200, 503]
    assert before.json()["code"] == after.json()["code"] == "NOT_READY"


async def test_both_are_documented(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    for name in ("livez", "readyz"):
        operation = paths[f"/{name}"]["get"]
        assert (operation["operationId"], operation["tags"]) == (name, ["health"])
    assert list(paths["/readyz"]["get"]["responses"]["503"]["content"]) == ["application/problem+json"]
