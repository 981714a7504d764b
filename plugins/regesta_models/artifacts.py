"""The files of versions. The version's list of artifacts says which there are; their bytes come before the entry does.

An upload keeps its bytes first (`blobs.py`), where nothing names them, and adds the entry last, as a change of the
version like any other: with hooks and audit, in one transaction. So whatever ends it halfway, nothing half is visible.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regesta import Caller, Change, Conflict, NotFound, Precondition, Registry, Stored, Unavailable, Unit
from regesta.errors import ConfigurationError, Invalid, Issue
from regesta.names import checked_name, spellings
from regesta.operations import NO_CONDITION, Turns, bounded
from regesta.store import collection_of
from regesta_models import blobs
from regesta_models.blob_records import BlobRecords
from regesta_models.blobs import STEP, Blob, Blobs
from regesta_models.documents import Version, VersionStatus
from regesta_models.parts import Artifact
from regesta_models.settings import ArtifactSettings


@dataclass(frozen=True, slots=True)
class Opened:
    """An artifact of a version whose bytes are kept here, as their record says."""

    version: Stored[Version]
    artifact: Artifact
    blob: Blob
    _blobs: Blobs

    def read(self, part: range | None = None) -> AsyncGenerator[bytes]:
        """The bytes, or a part of them, piece by piece. Raises LookupError where they are gone meanwhile."""
        return self._blobs.read(self.blob, range(self.blob.size) if part is None else part)

    async def begin(self, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """All that `read` yields, once its first piece is there. Raises NotFound where it is lost, Unavailable."""
        try:
            async with bounded(STEP, "the bytes did not come in time"):
                first = await anext(pieces, b"")
        except LookupError as error:
            what = f"the bytes of {self.artifact.path!r} are lost"
            raise NotFound(f"{what}: an upload of the same file brings them back", code="BYTES_NOT_KEPT") from error
        return _joined(first, pieces)


class Artifacts:
    """Reads and writes the files of every version. Raises ConfigurationError where they cannot be kept as set."""

    def __init__(self, registry: Registry, settings: ArtifactSettings | None = None) -> None:
        self.settings = ArtifactSettings.load() if settings is None else settings
        self._versions = registry["versions"]
        self._outside = blobs.vault_of(self.settings)
        self._contents = Turns()

    @property
    def blobs(self) -> Blobs:
        """The bytes in the database that the documents are bound to."""
        return Blobs(self._versions, self.settings, self._outside)

    async def prepare(self) -> None:
        """Make the place ready that is set, and what finds its files.

        Raises ConfigurationError if the place can take no files, or an index is stored with other options.
        """
        await self.blobs.prepare()
        if self._outside is not None:
            await self._outside.prepare()

    async def version(self, caller: Caller, keys: Sequence[str]) -> Stored[Version]:
        """A version. Raises NotFound, Invalid, Unavailable."""
        found: Stored[Version] = await self._versions.get(caller, keys)
        return found

    async def check(self, caller: Caller, keys: Sequence[str], path: str, condition: Precondition) -> Version:
        """Whether an upload would be taken, before its bytes come. Raises what `put` raises."""

        async def work(unit: Unit) -> Version:
            found: Stored[Version] = await self._versions.get(caller, keys, unit.session)
            version = found.document
            _check_pending(version)
            condition.check(_content(version, path))
            if _entry_path(version, path) is None:
                new_path(path)
            return version

        # Nothing is written; but a refusal is to be as durable as that of `put`.
        return await self._versions.run(work, transactional=False)

    async def put(
        self,
        caller: Caller,
        keys: Sequence[str],
        path: str,
        pieces: AsyncIterator[bytes],
        *,
        expected: Mapping[str, str] | None = None,
        condition: Precondition = NO_CONDITION,
    ) -> tuple[Artifact, bool]:
        """Keep a file of a pending version; its entry, and whether the path is new.

        Raises NotFound, Conflict, PreconditionFailed, Invalid, TooLarge, Unsupported, Unavailable.
        """
        version = await self.check(caller, keys, path, condition)
        path = _entry_path(version, path) or new_path(path)
        kept = self.blobs
        blob = await kept.receive(version.workspace, pieces, expected)
        entry = Artifact(path=path, size=blob.size, sha256=blob.sha256)
        new = False

        def edit(_: Stored[Version], version: Version) -> Version:
            nonlocal new
            _check_pending(version)
            before = _content(version, path)
            condition.check(before)
            new = before is None
            others = [other for other in version.artifacts if other.path != path]
            version.artifacts = sorted([*others, entry], key=lambda one: one.path)
            return version

        async def work(unit: Unit) -> None:
            written = await self._versions.update(caller, keys, edit, unit=unit)
            # The hook has written the record of the bytes in this transaction, so no sweep can take them now.
            if await kept.find(written.document.workspace, blob.sha256, unit.session) is None:
                raise Unavailable("the bytes were swept before they were used: send them again")

        # Transactions that name one content conflict: those of this process go one after the other instead.
        async with bounded(STEP), self._contents.of((version.workspace, blob.sha256)):
            await self._versions.run(work, tuple(keys))
        return entry, new

    async def delete(
        self, caller: Caller, keys: Sequence[str], path: str, condition: Precondition = NO_CONDITION
    ) -> None:
        """Take a file out of a pending version. Raises NotFound, Conflict, PreconditionFailed, Unavailable."""

        def edit(_: Stored[Version], version: Version) -> Version:
            found = _entry(version, path)
            _check_pending(version)
            condition.check(found.sha256)
            version.artifacts = [other for other in version.artifacts if other.path != found.path]
            return version

        await self._versions.update(caller, keys, edit)

    async def open(self, caller: Caller, keys: Sequence[str], path: str) -> Opened:
        """A file, to be read. Raises NotFound, also for one that is only told of; Invalid, Unavailable."""
        stored = await self.version(caller, keys)
        version = stored.document
        entry = _entry(version, path)
        kept = self.blobs
        async with bounded(STEP):
            try:
                blob = await kept.find(version.workspace, entry.sha256)
            except ConfigurationError as error:
                raise Unavailable(f"the bytes of {path!r} are kept where this service is not set to look") from error
        if blob is None:
            where = f"the version's source is {version.source}" if version.source else "the version names no source"
            raise NotFound(f"the bytes of {path!r} are not kept here: {where}", code="BYTES_NOT_KEPT")
        return Opened(stored, entry, blob, kept)

    async def kept(self, version: Version) -> dict[str, int]:
        """How many bytes are kept of each artifact whose bytes are here, by its digest."""
        async with bounded(STEP):
            return await self.blobs.sizes(version.workspace, [file.sha256 for file in version.artifacts])


async def _joined(first: bytes, others: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for piece in others:
        yield piece


async def mark_contents(changes: Sequence[Change[Any]], session: Any) -> None:
    """Mark the bytes that entries name or stop to name, in the transaction that writes the entries."""
    records = BlobRecords(collection_of(Version).database)
    for change in changes:
        version = change.after or change.before
        if not isinstance(version, Version):
            continue
        before, after, workspace = _contents(change.before), _contents(change.after), version.workspace
        if after - before:
            await records.named(workspace, sorted(after - before), session)
        if before - after:
            await records.released(workspace, sorted(before - after), session)


async def check_sizes(change: Change[Any]) -> None:
    """Raise Invalid if new entries say that bytes which are kept here have another size than they have."""
    version = change.after
    if not isinstance(version, Version):
        return
    before = {(file.sha256, file.size) for file in change.before.artifacts} if change.before else set()
    new = {at: file for at, file in enumerate(version.artifacts) if (file.sha256, file.size) not in before}
    if not new:
        return
    records = BlobRecords(collection_of(Version).database)
    contents = {file.sha256 for file in new.values()}
    sizes = {
        record["sha256"]: record["size"]
        for record in await records.of(version.workspace, contents, session=change.session)
    }
    issues = [
        Issue(
            ("body", "artifacts", at, "size"),
            f"is not {sizes[file.sha256]}, the size of these bytes, which are kept here",
            "size",
        )
        for at, file in new.items()
        if sizes.get(file.sha256, file.size) != file.size
    ]
    if issues:
        raise Invalid.of(issues)


def _contents(version: Version | None) -> set[str]:
    return set() if version is None else {file.sha256 for file in version.artifacts}


def _content(version: Version, path: str) -> str | None:
    kept = _entry_path(version, path)
    return next((file.sha256 for file in version.artifacts if file.path == kept), None)


def _entry_path(version: Version, path: str) -> str | None:
    """The path as an entry has it, in whatever spelling: older ones keep what they were sent."""
    there = {file.path for file in version.artifacts}
    return next((spelling for spelling in spellings(path) if spelling in there), None)


def new_path(path: str) -> str:
    """The path that a new entry gets. Raises Invalid for one with characters that cannot be seen."""
    try:
        return checked_name(path)
    except ValueError as error:
        raise Invalid.of([Issue(("path", "path"), str(error), "value_error")]) from None


def _entry(version: Version, path: str) -> Artifact:
    kept = _entry_path(version, path)
    for file in version.artifacts:
        if file.path == kept:
            return file
    raise NotFound(f"version {version.number} has no artifact {path[:200]!r}")


def _check_pending(version: Version) -> None:
    if version.status is VersionStatus.READY:
        raise Conflict(f"version {version.number} is ready: its artifacts cannot change: add a version", code="SEALED")
    if version.status is not VersionStatus.PENDING:
        raise Conflict(f"version {version.number} is {version.status}, which is final", code="STATUS_IS_FINAL")
