"""Bytes are received, found, read and deleted here; `blob_records.py` has their records and the rule of deletion."""

import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.errors import DuplicateKeyError

from regesta import Operations, Unit
from regesta.errors import ConfigurationError, Invalid, Issue, TooLarge, Unavailable, Unsupported
from regesta.http import surely
from regesta.operations import bounded
from regesta.store import Atomicity, PerClient, atomicity_of
from regesta_models.blob_records import BlobRecords, Record
from regesta_models.settings import ARTIFACTS, ArtifactSettings
from regesta_models.vaults import FolderVault, GridVault, Vault, Writer

logger = logging.getLogger("regesta.models")

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
    """The bytes that versions are made of, in the database of the versions and outside of it."""

    def __init__(self, versions: Operations[Any], settings: ArtifactSettings, outside: Vault | None) -> None:
        database = versions.collection.database
        self.records = BlobRecords(database)
        self._versions = versions
        self._database = database
        self._settings = settings
        self._grid = GridVault(database)
        self._outside = outside

    async def receive(
        self, workspace: str, pieces: AsyncIterator[bytes], expected: Mapping[str, str] | None = None
    ) -> Blob:
        """Keep bytes, once for each content; if it fails, nothing of them stays that could be found.

        `expected` are digests in hexadecimal digits, by the header field that said so. Raises Invalid if one
        differs, TooLarge, Unavailable, Unsupported, and what `pieces` raises.
        """
        vault = await self._current()
        name = ObjectId()
        async with bounded(STEP):
            await self.prepare()
            await self.records.begin(name, workspace, vault.kind)
        try:
            sha256, size = await self._write(vault, name, pieces)
            _check(sha256, expected or {})
            return await self._complete(vault, name, workspace, sha256=sha256, size=size)
        except BaseException:
            await surely(self._abandon(vault, name))
            raise

    async def find(self, workspace: str, sha256: str, session: Any = None) -> Blob | None:
        """The bytes of this content, None if none are kept. Raises ConfigurationError if they are out of reach."""
        # One for each store.
        records = await self.records.of(workspace, [sha256], session=session)
        reachable = await self._reachable()
        here = next((record for record in records if record["store"] in reachable), None)
        if records and here is None:
            raise _elsewhere()
        return None if here is None else Blob(here["_id"], here["store"], sha256, here["size"])

    async def sizes(self, workspace: str, contents: Iterable[str], session: Any = None) -> dict[str, int]:
        """Return the size of each of these contents that is kept."""
        records = await self.records.of(workspace, contents, await self._reachable(), session)
        return {record["sha256"]: record["size"] for record in records}

    async def whole(self, workspace: str, sha256: str) -> Record | None:
        """A record of this content whose bytes are there, too. Raises Unavailable."""
        async with bounded(STEP):
            for record in await self.records.of(workspace, [sha256], await self._reachable()):
                if await self.is_whole(record):
                    return record
        return None

    async def is_whole(self, record: Record) -> bool:
        """Whether the bytes are where the record says: the place may have been set again, and files get lost."""
        return bool(await self._vault(record["store"]).size(record["_id"]) == record["size"])

    def read(self, blob: Blob, part: range) -> AsyncGenerator[bytes]:
        """A part of the bytes, piece by piece. Raises LookupError if they are gone."""
        return self._vault(blob.store).read(blob.id, part)

    async def reachable_candidates(self, before: datetime) -> AsyncGenerator[dict[str, Any]]:
        """The records that may be swept."""
        async for record in self.records.candidates(await self._reachable(), before):
            yield record

    async def remove(self, record: Record) -> None:
        """Delete the bytes of a condemned record, then the record. Does nothing if it is not condemned."""
        if await self.records.is_condemned(record["_id"]):
            await self._delete(self._vault(record["store"]), record["_id"])

    async def replace(self, lost: Record | None, name: ObjectId, sha256: str, size: int) -> bool:
        """Let this record be the one that is found by its content, in place of one whose bytes are lost.

        Both change at once; a store without transactions leaves one that a sweep puts back if it is interrupted.
        Returns False if another upload of the same content was faster. Raises Unavailable if a sweep was.
        """

        async def work(unit: Unit) -> None:
            if lost is not None:
                logger.warning("the bytes of %s are lost: those of %s take their place", lost["_id"], name)
                await self.records.displace(lost, unit.session)
            if not await self.records.publish(name, sha256, size, unit.session):
                raise _lost()

        # Two at once are told apart by the unique index; the memory store, which has none of changes, by luck.
        with suppress(DuplicateKeyError):
            await (work(Unit()) if lost is None else self._versions.run(work, seconds=STEP))
            return True
        return False

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
                        if not await self.records.sign_of_life(name):
                            raise _lost()
                        touched = time.monotonic()
            async with bounded(STEP):
                await writer.close()
        except BaseException:
            await surely(_discard(writer))
            raise
        return digest.hexdigest(), size

    async def _complete(self, vault: Vault, name: ObjectId, workspace: str, *, sha256: str, size: int) -> Blob:
        """Make it findable, or take what is there with the same content."""
        async with bounded(STEP):
            while True:
                other = await self.records.adopt(workspace, sha256, vault.kind)
                if other is not None and await self.is_whole(other):
                    await self._abandon(vault, name)
                    return Blob(other["_id"], other["store"], sha256, size)
                if await self.replace(other, name, sha256, size):
                    return Blob(name, vault.kind, sha256, size)

    async def _abandon(self, vault: Vault, name: ObjectId) -> None:
        """Delete the bytes of an upload that failed, unless it was completed: others may have adopted them."""
        try:
            async with bounded(STEP):
                if await self.records.condemn_unfinished(name):
                    await self._delete(vault, name)
        except Exception:
            logger.warning("what was left of an upload is kept until it is swept", exc_info=True)

    async def _delete(self, vault: Vault, name: ObjectId) -> None:
        await vault.remove(name)
        await self.records.delete(name)

    # places

    async def _current(self) -> Vault:
        if self._outside is not None:
            return self._outside
        if not await self._has_grid():
            raise Unsupported(
                "the memory store keeps no artifacts: set REGESTA_MODELS_ARTIFACTS", code="ARTIFACTS_UNSUPPORTED"
            )
        return self._grid

    async def _reachable(self) -> list[str]:
        grid = [self._grid.kind] if await self._has_grid() else []
        return grid + ([] if self._outside is None else [self._outside.kind])

    def _vault(self, kind: str) -> Vault:
        if kind == self._grid.kind:
            return self._grid
        if self._outside is None or self._outside.kind != kind:
            raise _elsewhere()
        return self._outside

    async def prepare(self) -> None:
        """Make the indexes, once for each database of this process.

        Raises ConfigurationError if one is stored with other options.
        """
        known = _prepared.of(self._database.client)
        if self._database.name in known:
            return
        await self.records.prepare()
        if await self._has_grid():
            await self._grid.prepare()
        known.add(self._database.name)

    async def _has_grid(self) -> bool:
        return await atomicity_of(self.records.collection) is not Atomicity.LOCK


# The names of the databases whose indexes are there.
_prepared = PerClient(set[str])


def vault_of(settings: ArtifactSettings) -> Vault | None:
    """What is set in place of GridFS. Raises ConfigurationError, MissingExtra."""
    return FolderVault(settings.url) if settings.url else None


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
