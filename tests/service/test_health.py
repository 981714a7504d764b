"""`/livez` and `/readyz`."""

import os
import signal
from pathlib import Path

import httpx
import pytest
from tests.eventually import eventually

from regesta.store import LocalServer

from .conftest import service
from .processes import serving


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_running_service_is_alive_and_ready(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await client.head(path)).status_code == 200


def test_without_its_store_it_is_alive_and_not_ready(tmp_path: Path) -> None:
    """In a process of its own: the driver's monitor leaks a socket when its server goes away."""
    server = LocalServer(tmp_path / "store")
    with server, serving(tmp_path, store=server.start()) as service, service.client() as client:
        assert client.get("/readyz").status_code == 200
        server.stop()

        answer = client.get("/readyz")

        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "STORE_UNAVAILABLE"
        assert answer.elapsed.total_seconds() < 2
        assert client.get("/livez").status_code == 200

        server.start()
        eventually(lambda: client.get("/readyz").status_code == 200)


def test_a_store_that_hangs_makes_it_not_ready_within_a_second(tmp_path: Path) -> None:
    server = LocalServer(tmp_path / "store")
    with server, serving(tmp_path, store=server.start()) as service, service.client() as client:
        assert client.get("/readyz").status_code == 200
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            # The last of its threads may answer once more.
            eventually(lambda: client.get("/readyz").status_code == 503)
            answers = [client.get("/readyz") for _ in range(3)]
            alive = client.get("/livez")
        finally:
            os.kill(pid, signal.SIGCONT)

        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert max(answer.elapsed.total_seconds() for answer in answers) < 2
        assert alive.status_code == 200
        eventually(lambda: client.get("/readyz").status_code == 200)


async def test_it_is_not_ready_before_start_up_and_after_shutdown(mongod_uri: str) -> None:
    app = service(store=mongod_uri)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as outside:
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
