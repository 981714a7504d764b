"""What bytes are kept: one record for each content of a workspace, and one for each upload on its way.

The record comes before the first byte, so nothing is ever kept that no record names. A record is a *candidate* until a
version's entry names its content, and again once one stops to; only candidates that nobody touched for an hour are
swept. Entries come and go in transactions that write the record too, so one that names bytes and a sweep that would
take them away cannot both happen.
"""

import hashlib
import logging
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from regesta.errors import ConfigurationError, Invalid, Issue, TooLarge, Unavailable, Unsupported
from regesta.http import surely
from regesta.operations import bounded
from regesta.store import Atomicity, atomicity_of
from regesta_models.settings import ARTIFACTS, ArtifactSettings
from regesta_models.vaults import FolderVault, GridVault, Vault, Writer

logger = logging.getLogger("regesta.models")

COLLECTION = "blobs"
STEP = 30.0  # seconds for each step of a transfer
TOUCH = 60.0  # seconds between two signs of life of an upload


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that are kept."""

    id: ObjectId
    store: str
    sha256: str
    size: int


class Blobs:
    """The bytes of one database."""

    def __init__(self, database: Any, settings: ArtifactSettings, outside: Vault | None) -> None:
        self.records = database[COLLECTION]
        self._settings = settings
        self._grid = GridVault(database)
        self._outside = outside

    async def receive(
        self, workspace: str, pieces: AsyncIterator[bytes], expected: Mapping[str, str] | None = None
    ) -> Blob:
        """Keep bytes, once for each content; nothing of them stays where this fails.

        `expected` are digests in hexadecimal digits, by the header field that said so. Raises Invalid where one
        differs, TooLarge, Unavailable, Unsupported, and what `pieces` raises.
        """
        vault = await self._current()
        name = ObjectId()
        record = {"_id": name, "workspace": workspace, "store": vault.kind, "candidate": True, "touched_at": _now()}
        async with bounded(STEP):
            await self._prepare()
            await self.records.insert_one(record)
        try:
            sha256, size = await self._write(vault, name, pieces)
            _check(sha256, expected or {})
            return await self._complete(vault, name, workspace, sha256=sha256, size=size)
        except BaseException:
            await surely(self._abandon(vault, name))
            raise

    async def find(self, workspace: str, sha256: str, session: Any = None) -> Blob | None:
        """The bytes of this content, None where none are kept. Raises ConfigurationError if they are out of reach."""
        # One for each store.
        found = self.records.find({"workspace": workspace, "sha256": sha256}, session=session)
        blobs = [Blob(record["_id"], record["store"], sha256, record["size"]) async for record in found]
        reachable = await self._reachable()
        here = next((blob for blob in blobs if blob.store in reachable), None)
        if blobs and here is None:
            raise _elsewhere()
        return here

    async def kept(self, workspace: str, contents: Iterable[str], session: Any = None) -> frozenset[str]:
        """Which of these contents are kept."""
        wanted = {"workspace": workspace, "sha256": {"$in": list(contents)}, "store": {"$in": await self._reachable()}}
        found = self.records.find(wanted, {"sha256": 1}, session=session)
        return frozenset([record["sha256"] async for record in found])

    async def has_bytes(self, workspace: str, sha256: str) -> bool:
        """Whether the bytes of this content are there, as well as their record. Raises Unavailable."""
        async with bounded(STEP):
            wanted = {"workspace": workspace, "sha256": sha256, "store": {"$in": await self._reachable()}}
            records = [record async for record in self.records.find(wanted)]
            return any([await self._is_whole(record) for record in records])

    async def touch(self, workspace: str, contents: Iterable[str]) -> None:
        """Keep these for another hour, though nothing names them yet."""
        await self.records.update_many(
            {"workspace": workspace, "sha256": {"$in": list(contents)}}, {"$set": {"touched_at": _now()}}
        )

    def read(self, blob: Blob, part: range) -> AsyncGenerator[bytes]:
        """A part of the bytes, piece by piece. Raises LookupError where they are gone."""
        return self._vault(blob.store).read(blob.id, part)

    async def remove(self, record: Mapping[str, Any]) -> None:
        """Delete the bytes of a record that nothing can find any more, then the record."""
        await self._vault(record["store"]).remove(record["_id"])
        await self.records.delete_one({"_id": record["_id"]})

    async def reachable_candidates(self, before: datetime) -> AsyncGenerator[dict[str, Any]]:
        """The records that may be swept."""
        wanted = {"candidate": True, "touched_at": {"$lt": before}, "store": {"$in": await self._reachable()}}
        async for record in self.records.find(wanted):
            yield record

    # on its way

    async def _write(self, vault: Vault, name: ObjectId, pieces: AsyncIterator[bytes]) -> tuple[str, int]:
        digest, size, touched = hashlib.sha256(), 0, time.monotonic()
        async with bounded(STEP):
            writer = await vault.create(name)
        try:
            async for piece in pieces:
                size += len(piece)
                if size > self._settings.largest:
                    raise TooLarge(f"an artifact may have at most {self._settings.largest} bytes")
                digest.update(piece)
                async with bounded(STEP):
                    await writer.write(piece)
                    if time.monotonic() - touched > TOUCH:
                        await self._sign_of_life(name)
                        touched = time.monotonic()
            async with bounded(STEP):
                await writer.close()
        except BaseException:
            await surely(_discard(writer))
            raise
        return digest.hexdigest(), size

    async def _sign_of_life(self, name: ObjectId) -> None:
        alive = {"_id": name, "swept": {"$exists": False}}
        if not (await self.records.update_one(alive, {"$set": {"touched_at": _now()}})).matched_count:
            raise _lost()

    async def _complete(self, vault: Vault, name: ObjectId, workspace: str, *, sha256: str, size: int) -> Blob:
        """Make it findable, or take what is there with the same content."""
        same = {"workspace": workspace, "sha256": sha256, "store": vault.kind}
        async with bounded(STEP):
            while True:
                now = {"touched_at": _now()}
                other = await self.records.find_one_and_update(same, {"$set": now})
                if other is not None and await self._is_whole(other):
                    await self._abandon(vault, name)
                    return Blob(other["_id"], other["store"], sha256, size)
                if other is not None:
                    await self._displace(other)
                # Two at once are told apart by the unique index; the memory store, which has none of changes, by luck.
                with suppress(DuplicateKeyError):
                    done = await self.records.find_one_and_update(
                        {"_id": name, "swept": {"$exists": False}}, {"$set": {"sha256": sha256, "size": size, **now}}
                    )
                    if done is None:
                        raise _lost()
                    return Blob(name, vault.kind, sha256, size)

    async def _is_whole(self, record: Mapping[str, Any]) -> bool:
        """Whether the bytes are where the record says: a place may be set anew, and files get lost."""
        return bool(await self._vault(record["store"]).size(record["_id"]) == record["size"])

    async def _displace(self, record: Mapping[str, Any]) -> None:
        """Take a record whose bytes are lost out of reach, and leave it to be swept.

        What takes its place is a candidate: a sweep finds the entries that named this one.
        """
        logger.warning("the bytes of %s are lost: what was just sent takes their place", record["_id"])
        lost = {"$set": {"swept": True, "candidate": True}, "$unset": {"sha256": ""}}
        await self.records.update_one({"_id": record["_id"], "sha256": record["sha256"]}, lost)

    async def _abandon(self, vault: Vault, name: ObjectId) -> None:
        try:
            async with bounded(STEP):
                await vault.remove(name)
                await self.records.delete_one({"_id": name})
        except Exception:
            logger.warning("what was left of an upload is kept until it is swept", exc_info=True)

    # places

    async def _current(self) -> Vault:
        if self._outside is not None:
            return self._outside
        if await atomicity_of(self.records) is Atomicity.LOCK:
            raise Unsupported(
                "the memory store keeps no artifacts: set REGESTA_MODELS_ARTIFACTS", code="ARTIFACTS_UNSUPPORTED"
            )
        return self._grid

    async def _reachable(self) -> list[str]:
        grid = [] if await atomicity_of(self.records) is Atomicity.LOCK else [self._grid.kind]
        return grid + ([] if self._outside is None else [self._outside.kind])

    def _vault(self, kind: str) -> Vault:
        if kind == self._grid.kind:
            return self._grid
        if self._outside is None or self._outside.kind != kind:
            raise _elsewhere()
        return self._outside

    async def _prepare(self) -> None:
        """The indexes, once for each database of this process."""
        known = _prepared.setdefault(self.records.database.client, set())
        if self.records.database.name in known:
            return
        await self.records.create_index(
            [("workspace", 1), ("sha256", 1), ("store", 1)],
            unique=True,
            partialFilterExpression={"sha256": {"$gt": ""}},
        )
        await self.records.create_index(
            [("candidate", 1), ("touched_at", 1)], partialFilterExpression={"candidate": True}
        )
        if await atomicity_of(self.records) is not Atomicity.LOCK:
            await self._grid.prepare()
        known.add(self.records.database.name)


_prepared: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()


def vault_of(settings: ArtifactSettings) -> Vault | None:
    """What is set in place of GridFS. Raises ConfigurationError, MissingExtra."""
    return FolderVault(settings.url) if settings.url else None


async def referenced(database: Any, workspace: str, contents: Iterable[str], session: Any) -> None:
    """Entries of versions name these contents now: written in the transaction that writes the entries.

    What was named before is not written: it is swept no sooner than an hour after the last entry went.
    """
    wanted = {"workspace": workspace, "sha256": {"$in": list(contents)}, "candidate": True}
    await database[COLLECTION].update_many(
        wanted, {"$set": {"candidate": False, "touched_at": _now()}}, session=session
    )


async def released(database: Any, workspace: str, contents: Iterable[str], session: Any) -> None:
    """An entry of a version named these contents until now."""
    wanted = {"workspace": workspace, "sha256": {"$in": list(contents)}}
    await database[COLLECTION].update_many(wanted, {"$set": {"candidate": True, "touched_at": _now()}}, session=session)


async def _discard(writer: Writer) -> None:
    try:
        async with bounded(STEP):
            await writer.discard()
    except Exception:
        logger.warning("an upload that failed could not be ended", exc_info=True)


def _check(sha256: str, expected: Mapping[str, str]) -> None:
    issues = [
        Issue(("header", field.lower()), "the body has another SHA-256", "digest")
        for field, said in expected.items()
        if said != sha256
    ]
    if issues:
        error = Invalid.of(issues, f"the body has the SHA-256 {sha256}")
        error.code = "DIGEST_MISMATCH"
        raise error


def _elsewhere() -> ConfigurationError:
    where = f"the setting {ARTIFACTS} must be the service's"
    return ConfigurationError(f"these artifacts are outside of the database, and nothing says where: {where}")


def _lost() -> Unavailable:
    return Unavailable("the upload stood still for too long: send it again")


def _now() -> datetime:
    return datetime.now(UTC)
