"""A sweep condemns only what nothing relies on, and what it condemned is not used again."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.models.application import Service, serve
from tests.models.test_adopted_bytes import bring_back, folder, holds, take_away, upload
from tests.models.test_places import files_in
from tests.models.test_sweeps import left, swept

from regesta.store import now
from regesta_models import Blobs, blob_records, blobs
from regesta_models.blob_records import BlobRecords, Record
from regesta_models.sweeps import Swept

__all__ = ["folder"]

HOUR = timedelta(hours=1)


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def received(service: Service, content: bytes = b"bytes") -> Record:
    """The record of bytes that no entry names yet."""
    blob = await service.artifacts.blobs.receive("default", pieces(content))
    return await record_of(service, blob.id)


async def record_of(service: Service, name: Any) -> Record:
    found: Record = await service.database["blobs"].find_one({"_id": name})
    return found


async def adopt(records: BlobRecords, record: Record) -> None:
    assert await records.adopt(record["workspace"], record["sha256"], record["store"])


async def touch(records: BlobRecords, record: Record) -> None:
    await records.touch(record["workspace"], [record["sha256"]])


async def rely_on(records: BlobRecords, record: Record) -> None:
    assert await records.rely_on(record, None)


async def sign_of_life(records: BlobRecords, record: Record) -> None:
    assert await records.sign_of_life(record["_id"])


async def name_and_release(records: BlobRecords, record: Record) -> None:
    """Two entries name it, and one of them is deleted."""
    await records.named(record["workspace"], [record["sha256"]], None)
    await records.released(record["workspace"], [record["sha256"]], None)


RELYING = pytest.mark.parametrize("rely", [adopt, touch, rely_on, sign_of_life, name_and_release])


@RELYING
async def test_what_somebody_relies_on_since_it_was_read_is_not_condemned(
    service: Service, monkeypatch: pytest.MonkeyPatch, rely: Any
) -> None:
    """Even if all of it happens within the same millisecond."""
    at_once = now()
    monkeypatch.setattr(blob_records, "now", lambda: at_once)
    records = service.artifacts.blobs.records
    read = await received(service)
    await rely(records, read)
    assert not await records.condemn(read, None)
    assert await records.condemn(await record_of(service, read["_id"]), None)


async def test_what_the_build_before_relies_on_since_it_was_read_is_not_condemned(service: Service) -> None:
    """It may still run beside this one, and writes no `revision`."""
    await received(service)
    await service.database["blobs"].update_one({}, {"$unset": {"revision": ""}})
    read = await service.database["blobs"].find_one({})
    await service.database["blobs"].update_one({}, {"$set": {"touched_at": datetime.now(UTC) + HOUR}})
    assert not await service.artifacts.blobs.records.condemn(read, None)


@RELYING
async def test_what_somebody_relies_on_is_left_alone_for_an_hour(service: Service, rely: Any) -> None:
    read = await received(service)
    long_ago = datetime.now(UTC) - 2 * HOUR
    await service.database["blobs"].update_one({}, {"$set": {"touched_at": long_ago}})
    await rely(service.artifacts.blobs.records, read)
    assert await swept(service, HOUR) == Swept()
    await service.database["blobs"].update_one({}, {"$set": {"touched_at": long_ago}})
    assert await swept(service, HOUR) == Swept(1, 5)


async def test_what_an_entry_names_is_no_candidate(service: Service) -> None:
    """Otherwise each sweep would search the entries of all that is kept."""
    assert await upload(service, await service.pending()) == 201
    assert [record async for record in service.artifacts.blobs.reachable_candidates(now() + HOUR)] == []


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ids of the records whose bytes no sweep can delete, whatever it condemned."""
    found: list[Any] = []
    remove = Blobs.remove

    async def remove_others(kept: Blobs, record: Record) -> None:
        if record["_id"] in found:
            raise OSError("the place of the bytes does not answer")
        await remove(kept, record)

    monkeypatch.setattr(Blobs, "remove", remove_others)
    return found


async def test_bytes_that_cannot_be_deleted_do_not_keep_a_sweep_from_others(service: Service, stuck: list[Any]) -> None:
    first = await received(service, b"first")
    await received(service, b"the second")
    stuck.append(first["_id"])
    assert await swept(service) == Swept(1, 10, failed=1)
    stuck.clear()
    assert await swept(service) == Swept(1, 5)
    assert await left(service) == (0, 0, 0)


@pytest.mark.parametrize("seconds", [0.0, 60.0])
async def test_an_upload_that_was_condemned_fails_although_its_record_is_still_there(
    service: Service, monkeypatch: pytest.MonkeyPatch, stuck: list[Any], seconds: float
) -> None:
    """With its next sign of life if one is due, otherwise when it is completed."""
    monkeypatch.setattr(blobs, "TOUCH", seconds)
    path, sent = await service.pending(), []

    async def slow() -> AsyncIterator[bytes]:
        yield b"begin"
        (record,) = await service.database["blobs"].find().to_list(None)
        stuck.append(record["_id"])
        assert await swept(service) == Swept(failed=1)
        for piece in (b"middle", b"end"):
            sent.append(piece)
            yield piece

    assert (await service.client.put(f"{path}/a.bin", content=slow())).status_code == 503
    assert sent == ([b"middle"] if seconds == 0 else [b"middle", b"end"])
    assert (await service.client.get(path)).json()["artifacts"] == []
    stuck.clear()
    await swept(service)
    assert await left(service) == (0, 0, 0)


async def test_entries_of_other_workspaces_keep_no_bytes(service: Service) -> None:
    for workspace in ("ours", "theirs"):
        headers = {"X-Regesta-Workspace": workspace}
        await service.client.post("/models", json={"name": "resnet"}, headers=headers)
        version = await service.client.post("/models/resnet/versions", json={"status": "pending"}, headers=headers)
        assert version.status_code == 201
        path = "/models/resnet/versions/1/artifacts/a.bin"
        assert (await service.client.put(path, content=b"bytes", headers=headers)).status_code == 201
    await service.client.delete("/models/resnet/versions/1", headers={"X-Regesta-Workspace": "theirs"})
    assert await swept(service) == Swept(1, 5)
    read = await service.client.get(path, headers={"X-Regesta-Workspace": "ours"})
    assert read.content == b"bytes"


async def test_displaced_bytes_stay_if_those_in_their_place_are_displaced_meanwhile(
    folder: Path, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Blobs.whole

    async def whole_until_now(kept: Blobs, workspace: str, sha256: str) -> Record | None:
        found = await whole(kept, workspace, sha256)
        if found is not None:
            await kept.records.displace(found)
            for file in files_in(folder):
                if file.name == str(found["_id"]):
                    file.unlink()
        return found

    async with serve(database) as service:
        first, second = await service.pending(), await service.pending()
        assert await upload(service, first) == 201
        take_away(folder)
        assert await upload(service, second) == 201
        bring_back(folder)
        with monkeypatch.context() as patched:
            patched.setattr(Blobs, "whole", whole_until_now)
            assert await swept(service) == Swept()
        await swept(service)
        assert await holds(service, first)
        assert await holds(service, second)
