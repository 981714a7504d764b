"""The smallest program: a router in an application of one's own."""

import importlib

import httpx
import pytest
from beanie import Document
from tests.serving import free_port

PYMONGO_ASYNC = hasattr(Document, "get_pymongo_collection")


pytestmark = pytest.mark.skipif(
    not PYMONGO_ASYNC, reason="the program holds PyMongo's client, which Beanie 1.30 does not take"
)


async def test_it_runs_as_it_stands(mongod_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URL", mongod_uri)
    program = importlib.import_module("examples.mount_router")
    app = program.app
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        await program.Book.find_all().delete()
        book = {"isbn": "0262033844", "title": "Introduction to Algorithms", "year": 2009}
        created = await client.post("/books", json=book)
        assert created.status_code == 201, created.text
        assert (await client.post("/books", json=book)).status_code == 409
        read = await client.get(created.headers["location"])
        assert book.items() <= read.json().items()
        assert read.headers["etag"] == created.headers["etag"]

        listed = await client.get("/books?year__gte=1990&sort=-year&page_size=20")
        assert [item["isbn"] for item in listed.json()["items"]] == ["0262033844"]

        refused = await client.post("/books", json=book | {"isbn": "0", "year": 2101})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["message"] == "is too far in the future"
        assert "/books/{book}" in (await client.get("/openapi.json")).json()["paths"]


async def test_it_says_what_to_do_where_no_mongodb_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URL", f"mongodb://127.0.0.1:{free_port()}")
    program = importlib.import_module("examples.mount_router")
    monkeypatch.setattr(program, "WAIT", 100)
    with pytest.raises(RuntimeError, match="start one, or say by MONGODB_URL"):
        async with program.app.router.lifespan_context(program.app):
            pass
