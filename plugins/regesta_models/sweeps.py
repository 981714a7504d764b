"""Deletes bytes that nothing names: interrupted uploads, and what no version has any more.

Only what was not touched for an hour, so that an upload has the time to add its entry. A sweep first condemns the
record, in a transaction that looks for entries once more (the rule is in `blob_records.py`), and then deletes the
bytes; the next sweep finishes one that was killed in between. Several may run at once.
"""

import asyncio
import logging
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI

from regesta import Registry, Unit, hookimpl
from regesta.store import now
from regesta_models.artifacts import Artifacts
from regesta_models.blob_records import Record
from regesta_models.blobs import Blobs

logger = logging.getLogger("regesta.models")

KEEP = timedelta(hours=1)
EVERY = 900.0  # seconds
TASK = "regesta_models_sweeps"


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep deleted: how many uploads or contents, and their bytes as far as they are known.

    `failed` are those that it could not delete, which the next one tries again.
    """

    count: int = 0
    size: int = 0
    failed: int = 0


async def sweep(registry: Registry, blobs: Blobs, keep: timedelta = KEEP) -> Swept:
    """Delete what nothing names and nobody touched for `keep`. What cannot be deleted is logged and counted."""
    count, size, failed = 0, 0, 0
    async with aclosing(blobs.reachable_candidates(now() - keep)) as records:
        async for record in records:
            try:
                if await _condemned(registry, blobs, record):
                    await blobs.remove(record)
                    count, size = count + 1, size + record.get("size", 0)
            except Exception:
                logger.exception("the bytes of %s cannot be swept", record["_id"])
                failed += 1
    return Swept(count, size, failed)


async def _condemned(registry: Registry, blobs: Blobs, record: Record) -> bool:
    """Whether the bytes may be deleted: no entry names them, or other bytes took their place."""
    if "swept" in record:
        return True
    versions, records = registry["versions"], blobs.records
    content, substitute = record.get("sha256"), None
    if displaced := "displaced" in record:
        content = record["displaced"]
        substitute = await blobs.whole(record["workspace"], content)
        if substitute is None and await blobs.is_whole(record):
            await _put_back(blobs, record, content)
            return False

    async def work(unit: Unit) -> bool:
        entry = {"workspace": record["workspace"], "artifacts.sha256": content}
        named = content and await versions.collection.find_one(entry, {"_id": 1}, session=unit.session) is not None
        if named and not displaced:
            await records.still_named(record, unit.session)
            return False
        if named and (substitute is None or not await records.rely_on(substitute, unit.session)):
            return False
        return await records.condemn(record, unit.session)

    return await versions.run(work)


async def _put_back(blobs: Blobs, record: Record, content: str) -> None:
    """Let displaced bytes be found again: they are there, and what took their place is not."""
    logger.warning("the bytes of %s are there again", record["_id"])
    others = await blobs.records.of(record["workspace"], [content], [record["store"]])
    await blobs.replace(next(iter(others), None), record["_id"], content, record["size"])


async def _forever(registry: Registry, artifacts: Artifacts) -> None:
    while True:
        await asyncio.sleep(EVERY)
        try:
            swept = await sweep(registry, artifacts.blobs)
        except Exception:
            logger.exception("the sweep failed; the next one is in %.0f seconds", EVERY)
        else:
            if swept.count:
                logger.info("swept %d uploads and contents, %d bytes", swept.count, swept.size)


@hookimpl
async def startup(app: FastAPI) -> None:
    """Sweep now and then, for as long as the service runs. Raises ConfigurationError where no files can be kept."""
    registry: Registry = app.state.registry
    artifacts = Artifacts(registry)
    await artifacts.prepare()
    task = asyncio.create_task(_forever(registry, artifacts))
    setattr(app.state, TASK, task)


@hookimpl
async def shutdown(app: FastAPI) -> None:
    """End it. A sweep that is cut short is finished by the next one."""
    task: asyncio.Task[None] | None = getattr(app.state, TASK, None)
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
