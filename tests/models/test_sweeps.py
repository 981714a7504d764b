"""What nothing names is swept, and only that."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from tests.eventually import eventually_async
from tests.models.application import Service, serve

from regesta import Action, Change, hookimpl
from regesta.service import Settings, create_app
from regesta.store import open_store
from regesta_models import Blobs, Version, sweep, sweeps
from regesta_models.sweeps import Swept

# A second more than now: what was touched in this millisecond counts, too.
NOW = timedelta(seconds=-1)
MB = 2**20


async def swept(service: Service, keep: timedelta = NOW) -> Swept:
    return await sweep(service.registry, service.artifacts.blobs, keep)


async def left(service: Service) -> tuple[int, int, int]:
    names = ("blobs", "artifacts.files", "artifacts.chunks")
    records, files, chunks = [await service.database[name].count_documents({}) for name in names]
    return records, files, chunks


async def test_what_a_version_names_stays(service: Service) -> None:
    path = f"{await service.pending()}/a.bin"
    await service.client.put(path, content=b"bytes")
    assert await swept(service) == Swept()
    assert (await service.client.get(path)).content == b"bytes"


@pytest.mark.parametrize("how", ["version", "model", "artifact", "replaced", "patched"])
async def test_what_no_version_names_any_more_goes_after_an_hour(service: Service, how: str) -> None:
    artifacts = await service.pending()
    content = os.urandom(2 * MB)
    await service.client.put(f"{artifacts}/a.bin", content=content)
    version = artifacts.removesuffix("/artifacts")
    if how == "version":
        await service.client.delete(version)
    elif how == "model":
        await service.client.delete("/models/resnet?cascade=true")
    elif how == "artifact":
        await service.client.delete(f"{artifacts}/a.bin")
    elif how == "replaced":
        await service.client.put(f"{artifacts}/a.bin", content=b"new")
    else:
        headers = {"Content-Type": "application/merge-patch+json"}
        await service.client.patch(version, json={"artifacts": []}, headers=headers)
    assert await swept(service, timedelta(hours=1)) == Swept()
    assert await swept(service) == Swept(1, len(content))
    assert await left(service) == ((1, 1, 1) if how == "replaced" else (0, 0, 0))
    assert await swept(service) == Swept()


async def test_what_another_version_names_stays(service: Service) -> None:
    first, second = await service.pending(), await service.pending("vit")
    for artifacts in (first, second):
        await service.client.put(f"{artifacts}/a.bin", content=b"bytes")
    await service.client.delete(first.removesuffix("/artifacts"))
    assert await swept(service) == Swept()
    assert (await service.client.get(f"{second}/a.bin")).content == b"bytes"
    await service.client.delete(second.removesuffix("/artifacts"))
    assert await swept(service) == Swept(1, 5)


async def test_naming_them_again_keeps_them(service: Service) -> None:
    first = await service.pending()
    entry = (await service.client.put(f"{first}/a.bin", content=b"bytes")).json()
    await service.client.delete(first.removesuffix("/artifacts"))
    await service.version(artifacts=[entry])
    assert await swept(service) == Swept()
    assert (await service.client.get("/models/resnet/versions/2/artifacts/a.bin")).content == b"bytes"


async def test_an_upload_that_was_given_up_goes(service: Service) -> None:
    """As a server that is killed leaves it: a record without content, and some pieces."""
    blobs = service.artifacts.blobs
    vault = blobs._grid
    await blobs.receive("default", pieces(b"kept"))
    record = {"workspace": "default", "store": vault.kind, "candidate": True}
    await blobs.records.collection.update_one({}, {"$unset": {"sha256": "", "size": ""}})
    writer = await vault.create((await blobs.records.collection.find_one(record))["_id"])
    assert await left(service) == (1, 1, 1)
    assert await swept(service, timedelta(hours=1)) == Swept()
    assert await swept(service) == Swept(1, 0)
    assert await left(service) == (0, 0, 0)
    del writer


async def test_a_sweep_that_was_killed_is_finished(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = await service.pending()
    await service.client.put(f"{artifacts}/a.bin", content=b"bytes")
    await service.client.delete(artifacts.removesuffix("/artifacts"))

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Blobs, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            await swept(service)
    # What is on its way out is not given to anybody any more.
    second = await service.pending()
    assert (await service.client.put(f"{second}/a.bin", content=b"bytes")).status_code == 201
    assert await swept(service) == Swept(1, 5)
    assert (await service.client.get(f"{second}/a.bin")).content == b"bytes"
    assert await left(service) == (1, 1, 1)


async def test_an_upload_that_was_swept_meanwhile_is_told(service: Service) -> None:
    artifacts = await service.pending()

    async def slow() -> Any:
        yield b"begin"
        assert (await swept(service)).count == 1
        yield b"end"

    answer = await service.client.put(f"{artifacts}/a.bin", content=slow())
    assert answer.status_code == 503
    assert (await service.client.get(artifacts)).json()["artifacts"] == []
    assert await left(service) == (0, 0, 0)


class SweepsMeanwhile:
    """Sweeps after the bytes came and before their entry is written, within the transaction of the entry."""

    service: Service | None = None
    count = 0

    @hookimpl
    async def prepare_change(self, change: Change[Version]) -> None:
        if self.service is not None and change.action is Action.UPDATE:
            self.count += (await swept(self.service)).count


async def test_bytes_that_are_swept_before_their_entry_get_none(database: Any) -> None:
    meanwhile = SweepsMeanwhile()
    async with serve(database, meanwhile) as service:
        artifacts = await service.pending()
        meanwhile.service = service
        answer = await service.client.put(f"{artifacts}/a.bin", content=b"bytes")
        assert answer.status_code == 503, answer.text
        assert meanwhile.count == 1
        assert (await service.client.get(artifacts)).json()["artifacts"] == []
        assert await left(service) == (0, 0, 0)
        meanwhile.service = None
        assert (await service.client.put(f"{artifacts}/a.bin", content=b"bytes")).status_code == 201


async def test_sweeps_and_uploads_race(service: Service) -> None:
    """Sweeps that leave nobody an hour: an upload is refused, or has its bytes; never an entry without them."""
    paths = [await service.pending() for _ in range(12)]
    over = asyncio.Event()

    async def sweeping() -> int:
        count = 0
        while not over.is_set():
            count += (await swept(service)).count
        return count

    async def uploading(number: int) -> int:
        done = 0
        for turn in range(6):
            # Few contents: most are there already, or being swept.
            put = await service.client.put(f"{paths[number]}/{turn}.bin", content=b"content %d" % (turn % 3))
            assert put.status_code in (201, 503), put.text
            done += put.status_code == 201
        return done

    sweepers = [asyncio.create_task(sweeping()) for _ in range(2)]
    done = await asyncio.gather(*map(uploading, range(len(paths))))
    over.set()
    await asyncio.gather(*sweepers)
    entries = 0
    for path in paths:
        for file in (await service.client.get(path)).json()["artifacts"]:
            turn = int(file["path"].partition(".")[0])
            assert (await service.client.get(f"{path}/{file['path']}")).content == b"content %d" % (turn % 3)
            entries += 1
    assert entries == sum(done)
    await swept(service)
    assert await left(service) == (3, 3, 3)


async def pieces(*found: bytes) -> Any:
    for piece in found:
        yield piece


async def test_the_service_sweeps_now_and_then(mongod_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "EVERY", 0.01)
    app = create_app(Settings(store=mongod_uri, database=f"test_{os.urandom(8).hex()}", plugins=("models",)))
    async with app.router.lifespan_context(app):
        database = app.state.store.database
        given_up = {"workspace": "default", "store": "gridfs", "candidate": True}
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        await database["blobs"].insert_one({**given_up, "touched_at": long_ago})
        await database["blobs"].insert_one({**given_up, "touched_at": datetime.now(UTC)})

        async def one_is_left() -> bool:
            return bool(await database["blobs"].count_documents({}) == 1)

        await eventually_async(one_is_left)
        task = getattr(app.state, sweeps.TASK)
    assert task.done()
    async with open_store(mongod_uri, database=database.name) as store:
        await store.client.drop_database(database.name)


async def test_sweeps_go_by_the_clock_of_the_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that sweeps is two hours ahead of the one that uploads, until it is corrected."""
    monkeypatch.setattr("regesta.store._clock._correction", timedelta(hours=2))
    await service.artifacts.blobs.records.begin(ObjectId(), "default", "gridfs")
    (record,) = await service.database["blobs"].find().to_list(None)
    assert record["touched_at"].replace(tzinfo=UTC) > datetime.now(UTC) + timedelta(hours=1)
    assert await swept(service, timedelta(hours=1)) == Swept()
    monkeypatch.setattr("regesta.store._clock._correction", timedelta(hours=4))
    assert (await swept(service, timedelta(hours=1))).count == 1
