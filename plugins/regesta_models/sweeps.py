"""Deletes bytes that nothing names: interrupted uploads, and what no version has any more.

Only what nobody touched for an hour, so that an upload has the time to add its entry. A sweep first takes the record
out of reach, in a transaction that looks for entries once more, and then deletes the bytes; one that is killed in
between is finished by the next. Several may run at once.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI

from regesta import Registry, Unit, hookimpl
from regesta_models.artifacts import Artifacts
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
    async with aclosing(blobs.reachable_candidates(datetime.now(UTC) - keep)) as records:
        async for record in records:
            try:
                if await _taken(registry, blobs, record):
                    await blobs.remove(record)
                    count, size = count + 1, size + record.get("size", 0)
            except Exception:
                logger.exception("the bytes of %s cannot be swept", record["_id"])
                failed += 1
    return Swept(count, size, failed)


async def _taken(registry: Registry, blobs: Blobs, record: Mapping[str, Any]) -> bool:
    """Whether the bytes may be deleted: no entry names them, and now none can any more."""
    if "swept" in record:
        return True
    versions = registry["versions"]
    unchanged = {"_id": record["_id"], "touched_at": record["touched_at"], "candidate": True}

    async def work(unit: Unit) -> bool:
        content = record.get("sha256")
        if content is not None:
            entry = {"workspace": record["workspace"], "artifacts.sha256": content}
            if await versions.collection.find_one(entry, {"_id": 1}, session=unit.session) is not None:
                named = {"$set": {"candidate": False}}
                await blobs.records.update_one(unchanged, named, session=unit.session)
                return False
        away = {"$set": {"swept": True}, "$unset": {"sha256": ""}}
        found = {**unchanged, "sha256": content} if content else {**unchanged, "sha256": {"$exists": False}}
        done = await blobs.records.update_one(found, away, session=unit.session)
        return bool(done.matched_count)

    return await versions.run(work)


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
