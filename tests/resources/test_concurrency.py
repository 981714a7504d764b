"""Fifty writers at once: of those with one `If-Match` exactly one wins; without it nothing is lost."""

import asyncio
from collections import Counter
from typing import Annotated, Any

import pytest
from beanie import Document, Indexed
from pydantic import create_model

from regesta import Hooks, Parent, Resource
from regesta.audit import AuditTrail
from regesta.store import collection_of

from .serving import created, served

WRITERS = 50
NAMES = [f"field_{number}" for number in range(WRITERS)]


def wide(*, use_revision: bool) -> type[Document]:
    """A document with one field for each writer."""
    document: type[Document] = create_model(
        "Wide",
        __base__=Document,
        n=(int, 0),
        shared=(list[int], []),
        **dict.fromkeys(NAMES, (int, 0)),  # type: ignore[call-overload]
    )
    document.Settings = type("Settings", (), {"name": "wide", "use_revision": use_revision})
    return document


revisions = pytest.mark.parametrize("use_revision", [True, False], ids=["revision", "hash"])


@revisions
@pytest.mark.parametrize("audited", [False, True], ids=["plain", "audited"])
async def test_one_of_fifty_with_the_same_if_match_wins(database: Any, use_revision: bool, audited: bool) -> None:
    hooks = Hooks(AuditTrail()) if audited else None
    async with served(database, wide(use_revision=use_revision), hooks=hooks, also=[AuditTrail.document]) as client:
        url = f"/wides/{(await created(client, '/wides', {}))['id']}"
        for _ in range(3):
            tag = (await client.get(url)).headers["etag"]
            writes = [client.merge(url, {"n": -number - 1}, **{"if-match": tag}) for number in range(WRITERS)]
            answers = await asyncio.gather(*writes)
            assert Counter(answer.status_code for answer in answers) == {200: 1, 412: WRITERS - 1}
            won = next(answer for answer in answers if answer.status_code == 200)
            assert (await client.get(url)).content == won.content
            assert (await client.merge(url, {"n": 0})).status_code == 200
        if audited:
            assert await collection_of(AuditTrail.document).count_documents({"action": "update"}) == 6


@revisions
async def test_one_of_fifty_in_memory(memory_database: Any, use_revision: bool) -> None:
    async with served(memory_database, wide(use_revision=use_revision)) as client:
        url = f"/wides/{(await created(client, '/wides', {}))['id']}"
        tag = (await client.get(url)).headers["etag"]
        writes = [client.merge(url, {"n": number + 1}, **{"if-match": tag}) for number in range(WRITERS)]
        counted = Counter(answer.status_code for answer in await asyncio.gather(*writes))
        assert counted == {200: 1, 412: WRITERS - 1}


@revisions
async def test_changes_of_different_fields_all_land(any_database: Any, use_revision: bool) -> None:
    async with served(any_database, wide(use_revision=use_revision), timeout=60) as client:
        url = f"/wides/{(await created(client, '/wides', {}))['id']}"
        answers = await asyncio.gather(*(client.merge(url, {name: 1}) for name in NAMES))
        assert Counter(answer.status_code for answer in answers) == {200: WRITERS}
        document = (await client.get(url)).json()
        assert {document[name] for name in NAMES} == {1}
        assert len({answer.headers["etag"] for answer in answers}) == WRITERS


@revisions
async def test_appends_to_one_list_all_land(any_database: Any, use_revision: bool) -> None:
    async with served(any_database, wide(use_revision=use_revision), timeout=60) as client:
        url = f"/wides/{(await created(client, '/wides', {}))['id']}"
        operations = ({"op": "add", "path": "/shared/-", "value": number} for number in range(WRITERS))
        answers = await asyncio.gather(*(client.operate(url, operation) for operation in operations))
        assert Counter(answer.status_code for answer in answers) == {200: WRITERS}
        assert sorted((await client.get(url)).json()["shared"]) == list(range(WRITERS))


@revisions
async def test_a_deleted_document_does_not_come_back(database: Any, use_revision: bool) -> None:
    async with served(database, wide(use_revision=use_revision), timeout=60) as client:
        for _ in range(5):
            url = f"/wides/{(await created(client, '/wides', {}))['id']}"
            answers = await asyncio.gather(
                *(client.merge(url, {"n": number + 1}) for number in range(8)),
                client.delete(url),
                *(client.put(url, json={"n": -number - 1}) for number in range(8)),
            )
            assert answers[8].status_code == 204
            assert {answer.status_code for answer in answers} <= {200, 204, 404}
            assert (await client.get(url)).status_code == 404


async def test_one_of_fifty_creates_with_the_same_key_wins(any_database: Any) -> None:
    class Named(Document):
        id: str  # type: ignore[assignment]

        class Settings:
            name = "named"

    async with served(any_database, Named, name="named") as client:
        answers = await asyncio.gather(*(client.post("/named", json={"id": "x"}) for _ in range(WRITERS)))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: WRITERS - 1}
        exists = [client.put("/named/y?allow_missing=true", json={}, headers={"if-none-match": "*"}) for _ in range(10)]
        assert Counter(answer.status_code for answer in await asyncio.gather(*exists))[201] == 1


async def test_numbers_of_children_have_no_gap(database: Any) -> None:
    class Model(Document):
        id: str  # type: ignore[assignment]

        class Settings:
            name = "models"

    class Version(Document):
        model: str
        number: int

        class Settings:
            name = "versions"

    models = Resource(Model, timeout=60)
    versions = Resource(
        Version, key="number", parent=Parent(resource=models, field="model", sequence="number"), timeout=60
    )
    async with served(database, models, versions) as client:
        await client.post("/models", json={"id": "m"})
        answers = await asyncio.gather(*(client.post("/models/m/versions", json={}) for _ in range(20)))
        assert Counter(answer.status_code for answer in answers) == {201: 20}
        assert sorted(answer.json()["number"] for answer in answers) == list(range(1, 21))


class Named(Document):
    name: Annotated[str, Indexed(unique=True)]
    n: int = 0

    class Settings:
        use_revision = True


@pytest.mark.parametrize("only_new", [False, True])
async def test_one_of_many_creates_by_put_and_the_others_update(database: Any, only_new: bool) -> None:
    """Without a transaction, from processes that know nothing of each other."""
    headers = {"if-none-match": "*"} if only_new else {}
    async with (
        served(database, Named, name="things", key="name", hooks=Hooks()) as one,
        served(database, Named, name="things", key="name", hooks=Hooks()) as other,
    ):
        for turn in range(10):
            url = f"/things/{turn}?allow_missing=true"
            writes = [client.put(url, json={"n": n}, headers=headers) for n in range(3) for client in (one, other)]
            answers = await asyncio.gather(*writes)
            assert Counter(answer.status_code for answer in answers) == {201: 1, 412 if only_new else 200: 5}
