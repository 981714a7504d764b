"""Bytes are deleted only if nothing names them and no other upload relies on them, whatever fails on the way (G17)."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import WriteConcern
from pymongo.errors import AutoReconnect
from tests.models.application import Service, serve
from tests.models.lost_answers import completions, every_other
from tests.models.test_places import files_in
from tests.models.test_sweeps import NOW, left, swept

from regesta import Action, Change, hookimpl
from regesta.store import open_store
from regesta_models import Version
from regesta_models.sweeps import Swept

CONTENT = b"weights that many versions have"


@pytest.fixture(params=["gridfs", "folder"])
async def placed(
    request: pytest.FixtureRequest, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """A service that keeps bytes in GridFS, then one that keeps them in a folder."""
    if request.param == "folder":
        pytest.importorskip("fsspec")
        monkeypatch.setenv("REGESTA_MODELS_ARTIFACTS", f"file://{tmp_path}/kept")
    async with serve(database) as service:
        yield service


async def upload(service: Service, path: str, content: bytes = CONTENT) -> int:
    return (await service.client.put(f"{path}/a.bin", content=content)).status_code


async def holds(service: Service, path: str, content: bytes = CONTENT) -> bool:
    got = await service.client.get(f"{path}/a.bin")
    return got.status_code == 200 and got.content == content


async def test_an_upload_whose_answer_was_lost_leaves_its_bytes_to_who_adopted_them(placed: Service) -> None:
    first, second = await placed.pending(), await placed.pending()
    taken: list[int] = []

    async def adopted_then_lost() -> None:
        if not taken:
            taken.append(0)
            taken[0] = await upload(placed, second)
            raise AutoReconnect("the answer was lost")

    with completions(placed.database["blobs"], adopted_then_lost):
        assert await upload(placed, first) == 503
    assert taken == [201]
    assert await holds(placed, second)
    assert await swept(placed) == Swept()
    assert await holds(placed, second)


async def test_an_upload_that_is_cancelled_leaves_its_bytes_to_who_adopted_them(placed: Service) -> None:
    first, second = await placed.pending(), await placed.pending()
    completed, never = asyncio.Event(), asyncio.Event()

    async def stay() -> None:
        completed.set()
        await never.wait()

    with completions(placed.database["blobs"], stay):
        cancelled = asyncio.create_task(upload(placed, first))
        await completed.wait()
    assert await upload(placed, second) == 201
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert await holds(placed, second)


async def test_what_a_lost_answer_left_behind_is_swept(placed: Service, tmp_path: Path) -> None:
    path = await placed.pending()
    with completions(placed.database["blobs"], every_other()):
        assert await upload(placed, path) == 503
    assert await swept(placed) == Swept(1, len(CONTENT))
    assert (await left(placed), files_in(tmp_path)) == ((0, 0, 0), [])


async def test_every_other_answer_is_lost_while_sweeps_leave_nobody_any_time(placed: Service) -> None:
    """The long version, with a primary that is killed, is `python -m tests.faults.uploads`."""
    paths = [await placed.pending() for _ in range(40)]
    acknowledged: dict[str, bytes] = {}
    over = asyncio.Event()

    async def sweeping() -> None:
        while not over.is_set():
            await swept(placed, NOW)

    async def uploading(mine: list[str]) -> None:
        for number, path in enumerate(mine):
            content = b"content %d" % (number % 3)
            while (status := await upload(placed, path, content)) == 503:
                pass
            assert status in (200, 201)
            acknowledged[path] = content

    sweeper = asyncio.create_task(sweeping())
    with completions(placed.database["blobs"], every_other()):
        await asyncio.gather(*(uploading(paths[at::8]) for at in range(8)))
    over.set()
    await sweeper
    missing = [path for path, content in acknowledged.items() if not await holds(placed, path, content)]
    assert (len(acknowledged), missing) == (40, [])


class DeletesMeanwhile:
    """Deletes the only version that names some bytes, and sweeps them, within the transaction of another entry."""

    service: Service | None = None
    version = ""
    swept = Swept()

    @hookimpl
    async def prepare_change(self, change: Change[Version]) -> None:
        if self.service is not None and change.action is Action.UPDATE:
            service, self.service = self.service, None
            assert (await service.client.delete(self.version)).status_code == 204
            self.swept = await swept(service)


async def test_bytes_that_another_version_had_until_now_are_swept_or_named_not_both(database: Any) -> None:
    meanwhile = DeletesMeanwhile()
    async with serve(database, meanwhile) as service:
        first, second = await service.pending(), await service.pending()
        assert await upload(service, first) == 201
        meanwhile.version, meanwhile.service = first.removesuffix("/artifacts"), service
        assert await upload(service, second) == 503
        assert meanwhile.swept == Swept(1, len(CONTENT))
        assert (await service.client.get(second)).json()["artifacts"] == []
        assert await upload(service, second) == 201
        assert await holds(service, second)


async def test_bytes_of_a_record_that_is_not_condemned_are_not_deleted(placed: Service) -> None:
    path = await placed.pending()
    assert await upload(placed, path) == 201
    record = await placed.database["blobs"].find_one({})
    await placed.artifacts.blobs.remove(record)
    assert await holds(placed, path)


# bytes that only seem to be lost, as in a folder that is not mounted for a while


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("fsspec")
    monkeypatch.setenv("REGESTA_MODELS_ARTIFACTS", f"file://{tmp_path}/kept")
    return tmp_path / "kept"


async def test_an_upload_that_fails_does_not_displace_bytes_that_seemed_lost(folder: Path, database: Any) -> None:
    async with serve(database) as service:
        first, second = await service.pending(), await service.pending()
        assert await upload(service, first) == 201
        take_away(folder)
        with completions(database["blobs"], every_other()):
            assert await upload(service, second) == 503
        bring_back(folder)
        assert await swept(service) == Swept()
        assert await holds(service, first)


async def test_bytes_that_seemed_lost_are_put_back_if_nothing_took_their_place(folder: Path, any_database: Any) -> None:
    """A store without transactions may be killed between the two steps."""
    async with serve(any_database) as service:
        path = await service.pending()
        assert await upload(service, path) == 201
        records = service.artifacts.blobs.records
        (record,) = await records.of("default", [sha256_of(await service.client.get(path))])
        await records.displace(record)
        assert not await holds(service, path)
        take_away(folder)
        assert await swept(service) == Swept()  # they may be back later
        bring_back(folder)
        assert await swept(service) == Swept()
        assert await holds(service, path)
        assert await swept(service) == Swept()


async def test_bytes_that_took_the_place_of_others_and_are_lost_give_way_to_them(
    folder: Path, any_database: Any
) -> None:
    async with serve(any_database) as service:
        first, second = await service.pending(), await service.pending()
        assert await upload(service, first) == 201
        take_away(folder)
        assert await upload(service, second) == 201
        for file in files_in(folder):
            file.unlink()
        bring_back(folder)
        assert await swept(service) == Swept()
        assert await holds(service, first)
        assert await swept(service) == Swept(1, len(CONTENT))
        assert await holds(service, second)


def take_away(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def bring_back(folder: Path) -> None:
    for file in files_in(folder.with_name("away")):
        target = folder / file.relative_to(folder.with_name("away"))
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)


def sha256_of(answer: Any) -> str:
    found: str = answer.json()["artifacts"][0]["sha256"]
    return found


async def test_records_of_the_build_before_are_swept_and_kept(service: Service) -> None:
    """They have no `revision`."""
    first, second = await service.pending(), await service.pending()
    assert await upload(service, first) == 201
    assert await upload(service, second, os.urandom(10)) == 201
    await service.database["blobs"].update_many({}, {"$unset": {"revision": ""}})
    await service.client.delete(second.removesuffix("/artifacts"))
    await service.database["blobs"].update_many({}, {"$unset": {"revision": ""}})
    assert await swept(service) == Swept(1, 10)
    assert await holds(service, first)


async def test_writes_of_bytes_wait_for_a_majority_whatever_the_application_set(mongod_uri: str) -> None:
    async with open_store(mongod_uri, database=f"test_{os.urandom(8).hex()}") as store:
        careless = store.database.client.get_database(store.database.name, write_concern=WriteConcern(1))
        async with serve(careless) as service:
            blobs = service.artifacts.blobs
            for collection in (blobs.records.collection, blobs._grid.files, blobs._grid.chunks):
                assert collection.write_concern.document == {"w": "majority"}
        await store.client.drop_database(store.database.name)
