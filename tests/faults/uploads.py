"""Uploads of the same contents by many clients, while answers of the database get lost, sweeps run and primaries die.

    python -m tests.faults.uploads --uploads 10000 --kills 5 [--place folder]

A real set of three nodes; its primary is killed with SIGKILL while uploads run. Eight clients send the same content at
the same time. Every other answer to the write that completes an upload is lost, which is noticed late: after the other
clients were acknowledged. Half of the clients delete their versions again, and sweeps delete whatever they may, without
leaving anybody any time. In the end every acknowledged upload whose version is there is downloaded and compared.

First a control run, with the clean-up of the build before: it deletes the bytes of a failed upload whatever happened to
its record. That run must lose bytes, or the faults are not the ones that matter. Exits with 0 if the control lost bytes
and the real run lost none, else with 1.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import AutoReconnect
from tests.faults.replica_set import ReplicaSet, temporary_replica_set
from tests.models.application import Service, serve
from tests.models.lost_answers import completions, every_other
from tests.models.test_sweeps import NOW

from regesta.store import open_store
from regesta_models import sweep
from regesta_models.blob_records import BlobRecords
from regesta_models.settings import ARTIFACTS

CLIENTS = 8  # which send the same content at the same time
FILES = 20  # of a version: then a client goes on with a new one
SWEPT = 4  # of so many contents one is sent while sweeps run
LATEST = 10.0  # seconds until a lost answer is noticed
CONTROL = 200  # uploads


@dataclass(slots=True)
class Counts:
    """What happened in a run."""

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    deleted: int = 0
    refused: int = 0
    swept: int = 0
    kills: int = 0
    missing: list[str] = field(default_factory=list)

    def line(self, name: str, seconds: float) -> str:
        lost = f"{len(self.missing)} of {len(self.acknowledged)} acknowledged uploads lost their bytes"
        more = f"{self.refused} were refused, {self.deleted} files deleted, {self.swept} contents swept"
        more += f", {self.kills} primaries killed"
        return f"{name}: {lost}; {more}; {seconds:.0f} s"


class LostAnswers:
    """Loses every other answer, when all other uploads of the same content have ended or lost theirs, too."""

    def __init__(self) -> None:
        self._lose = every_other()
        self._all_over = asyncio.Event()
        self._open = 0

    def expect(self, uploads: int) -> None:
        """So many uploads of one content begin now."""
        self._open = uploads
        self._all_over.clear()

    def ended(self) -> None:
        """One of them was answered, or waits for an answer that is lost."""
        self._open -= 1
        if self._open <= 0:
            self._all_over.set()

    async def lose(self) -> None:
        """Raise AutoReconnect for every other call."""
        try:
            await self._lose()
        except AutoReconnect:
            self.ended()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_over.wait(), LATEST)
            raise


async def run(nodes: ReplicaSet, database: str, uploads: int, kills: int) -> Counts:
    """Send the uploads, kill primaries on the way, then look for the bytes of every acknowledged one."""
    counts = Counts()
    async with open_store(nodes.uri, database=database) as store, serve(store.database) as service:
        answers = LostAnswers()
        with completions(store.database["blobs"], answers.lose):
            turn, versions, killers = 0, await _versions(service), list[asyncio.Task[None]]()
            while len(counts.acknowledged) + counts.deleted < uploads:
                if len(counts.acknowledged) + counts.deleted >= uploads * (len(killers) + 1) // (kills + 1):
                    killers.append(asyncio.create_task(_kill(nodes, counts)))
                # Some contents are sent only by those who delete them again.
                senders = versions[: CLIENTS // 2] if turn % 5 == 0 else versions
                paths = [f"{path}/{turn}" for path in senders]
                await _round(service, paths, answers, counts, sweeps=turn % SWEPT == 0)
                turn += 1
                if turn % FILES == 0:
                    old, versions = versions, await _versions(service)
                    await asyncio.gather(*(_delete(service, path, counts) for path in old[: CLIENTS // 2]))
            await asyncio.gather(*killers)
        await _sweep(service, counts)
        for path, content in counts.acknowledged.items():
            got = await service.client.get(path)
            if got.status_code != 200 or got.content != content:
                counts.missing.append(path)
    return counts


async def _round(service: Service, paths: list[str], answers: LostAnswers, counts: Counts, *, sweeps: bool) -> None:
    """Send one content to all these paths at the same time; one sweep after the other if `sweeps`."""
    content = os.urandom(32)
    answers.expect(len(paths))

    async def upload(path: str) -> None:
        answer = await service.client.put(path, content=content)
        answers.ended()
        if answer.status_code == 503:
            counts.refused += 1
            return
        assert answer.status_code in (200, 201), answer.text
        counts.acknowledged[path] = content

    uploading = asyncio.gather(*map(upload, paths))
    while sweeps and not uploading.done():
        await _sweep(service, counts)
    await uploading


async def _versions(service: Service) -> list[str]:
    return await asyncio.gather(*(_pending(service, client) for client in range(CLIENTS)))


async def _delete(service: Service, path: str, counts: Counts) -> None:
    """Delete the version whose files these are, which are not expected any more."""
    while (await service.client.delete(path.removesuffix("/artifacts"))).status_code not in (204, 404):
        pass
    gone = [file for file in counts.acknowledged if file.startswith(f"{path}/")]
    for file in gone:
        del counts.acknowledged[file]
    counts.deleted += len(gone)


async def _pending(service: Service, client: int) -> str:
    """The path of the files of a new version; the database may be away meanwhile."""
    model = f"client-{client}"
    while (await service.client.post("/models", json={"name": model})).status_code not in (201, 409):
        pass
    while (answer := await service.client.post(f"/models/{model}/versions", json={"status": "pending"})).is_error:
        assert answer.status_code == 503, answer.text
    return f"/models/{model}/versions/{answer.json()['number']}/artifacts"


async def _sweep(service: Service, counts: Counts) -> None:
    try:
        counts.swept += (await sweep(service.registry, service.artifacts.blobs, NOW)).count
    except Exception as error:
        print(f"a sweep ended early: {type(error).__name__}", file=sys.stderr)


async def _kill(nodes: ReplicaSet, counts: Counts) -> None:
    await asyncio.to_thread(nodes.fail_over)
    await asyncio.to_thread(nodes.revive)
    counts.kills += 1


@contextmanager
def clean_up_of_the_build_before() -> Iterator[None]:
    """A failed upload deletes its bytes and its record, whether it was completed or not."""

    async def always(records: BlobRecords, name: ObjectId) -> bool:
        await records.collection.update_one({"_id": name}, {"$set": {"swept": True}, "$unset": {"sha256": ""}})
        return True

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BlobRecords, "condemn_unfinished", always)
        yield


def main(arguments: list[str] | None = None) -> int:
    """Print what was lost in both runs; 0 if only the control lost anything."""
    parser = argparse.ArgumentParser(description="Uploads while answers get lost, sweeps run and primaries are killed.")
    parser.add_argument("--uploads", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--control", type=int, default=CONTROL, help="uploads of the control run")
    parser.add_argument("--control-kills", type=int, default=1)
    parser.add_argument("--place", choices=["gridfs", "folder"], default="gridfs")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, temporary_replica_set() as nodes, pytest.MonkeyPatch.context() as env:
        if asked.place == "folder":
            env.setenv(ARTIFACTS, f"file://{Path(folder)}/kept")
        with clean_up_of_the_build_before():
            control = _timed(
                "control, the clean-up of the build before", run(nodes, "control", asked.control, asked.control_kills)
            )
        real = _timed(f"{asked.place}, this build", run(nodes, "real", asked.uploads, asked.kills))
    whole = control.missing and not real.missing
    print("passed" if whole else "FAILED")
    return 0 if whole else 1


def _timed(name: str, work: Any) -> Counts:
    begun = time.monotonic()
    counts: Counts = asyncio.run(work)
    print(counts.line(name, time.monotonic() - begun), flush=True)
    return counts


if __name__ == "__main__":
    sys.exit(main())
