"""From a registry into a bundle."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from regesta import Caller, Conflict, HistoryRequest, NotFound, Operations, Registry, Stored
from regesta.errors import ConfigurationError
from regesta.schemas import dumps
from regesta_models import bundles
from regesta_models.artifacts import Artifacts
from regesta_models.blobs import Blob
from regesta_models.bundles import BundleWriter, descriptor, member_of
from regesta_models.cards import CARD
from regesta_models.documents import Model, Version, VersionStatus
from regesta_models.manifests import canonical, digest_of, files_digest

EVENTS = 1000  # read at once


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the numbers of the versions, the bytes of the files, the digest of the whole."""

    model: str
    numbers: list[int]
    size: int
    digest: str


@dataclass(slots=True)
class _Content:
    """What is going to be written: documents here, files by where they are."""

    documents: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Blob] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, content: bytes, **further: Any) -> dict[str, Any]:
        """Keep a document; how it is named."""
        digest = digest_of(content)
        self.documents[digest] = content
        return descriptor(kind, digest, len(content), **further)

    def add_manifest(self, kind: str, document: Mapping[str, Any], layers: list[dict[str, Any]]) -> None:
        config = self.add(kind, canonical(document))
        manifest = {
            "schemaVersion": 2,
            "mediaType": bundles.MANIFEST_TYPE,
            "artifactType": kind,
            "config": config,
            "layers": layers,
        }
        self.manifests.append(self.add(bundles.MANIFEST_TYPE, canonical(manifest), artifactType=kind))


def identity_of(stored: Stored[Version]) -> str:
    """What makes a version itself, in every registry that it is carried to: when and as what it was made.

    What may change of a ready version is not in it.
    """
    version = stored.document
    if version.origin:
        return version.origin
    wire = _wire(stored)
    made = {name: wire.get(name) for name in ("number", "created_at", "source", "params", "signature")}
    return hashlib.sha256(canonical({**made, "files": files_digest(version.artifacts)})).hexdigest()


class Exporter:
    """Writes bundles on behalf of a caller."""

    def __init__(self, registry: Registry, artifacts: Artifacts, caller: Caller) -> None:
        self._registry, self._artifacts, self._caller = registry, artifacts, caller
        self._models, self._versions = registry["models"], registry["versions"]
        self._model_cards, self._version_cards = registry["model-cards"], registry["version-cards"]

    async def export(self, reference: str, path: Path) -> Exported:
        """Write `NAME`, `NAME@alias` or `NAME/number` to a file, which is there only once it is whole.

        Raises NotFound, Conflict for a version that is pending, ConfigurationError for bytes that are damaged,
        or kept where nothing says.
        """
        model, versions = await self._chosen(reference)
        content = _Content()
        await self._add_model(content, model)
        for version in versions:
            await self._add_version(content, model, version)
        index = canonical(
            {
                "schemaVersion": 2,
                "mediaType": bundles.INDEX_TYPE,
                "artifactType": bundles.BUNDLE,
                "manifests": content.manifests,
            }
        )
        partial = path.with_name(f"{path.name}.part")
        try:
            await self._write(partial, index, content)
            partial.replace(path)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
        size = sum(blob.size for blob in content.files.values())
        numbers = [version.document.number for version in versions]
        return Exported(model.document.name, numbers, size, digest_of(index))

    # what

    async def _chosen(self, reference: str) -> tuple[Stored[Model], list[Stored[Version]]]:
        # A name may hold an @.
        if (raw := await self._models.find(self._caller, (reference,))) is not None:
            return self._models.stored(raw), await self._all(reference)
        name, _, number = reference.rpartition("/")
        if name and number.isdecimal():
            found = await self._versions.get(self._caller, (name, number))
        else:
            name, _, alias = reference.rpartition("@")
            if not name:
                raise NotFound(f"there is no model {reference!r}")
            where = await self._versions.find_where(self._caller, (name,), {"aliases": alias})
            if where is None:
                raise NotFound(f"there is no alias {alias!r}")
            found = where
        if found.document.status is VersionStatus.PENDING:
            raise Conflict(f"version {found.document.number} is pending: it is not whole yet", code="PENDING")
        return await self._models.get(self._caller, (name,)), [found]

    async def _all(self, name: str) -> list[Stored[Version]]:
        parent = await self._versions.parent_value(self._caller, (name,))
        below = self._versions.addresses.collection_filter(self._caller.scope, parent)
        found = self._versions.collection.find({**below, "status": {"$ne": VersionStatus.PENDING.value}})
        return [self._versions.stored(raw) async for raw in found.sort("number", 1)]

    async def _add_model(self, content: _Content, model: Stored[Model]) -> None:
        wire = _wire(model)
        body = {name: value for name, value in wire.items() if model.codec.accepts(name)}
        layers = await self._card(content, self._model_cards, (model.document.name,))
        layers.append(await self._history(content, model, None))
        content.add_manifest(bundles.MODEL, {"name": wire["name"], "model": body}, layers)

    async def _add_version(self, content: _Content, model: Stored[Model], version: Stored[Version]) -> None:
        wire = _wire(version)
        keys = (model.document.name, str(version.document.number))
        layers = await self._card(content, self._version_cards, keys)
        for file in version.document.artifacts:
            blob = await self._artifacts.blobs.find(version.document.workspace, file.sha256)
            if blob is not None:
                digest = f"sha256:{file.sha256}"
                content.files[digest] = blob
                layers.append(descriptor(bundles.FILE, digest, blob.size, annotations={bundles.TITLE: file.path}))
        layers.append(await self._history(content, version, str(version.document.model_id)))
        document = {
            "model": model.document.name,
            "number": version.document.number,
            "created_at": wire["created_at"],
            "identity": identity_of(version),
            "aliases": version.document.aliases,
            "version": {name: value for name, value in wire.items() if version.codec.accepts(name)},
        }
        for file in document["version"]["artifacts"]:
            # What is kept has its size, whatever was said of it once.
            kept = content.files.get(f"sha256:{file['sha256']}")
            file["size"] = file["size"] if kept is None else kept.size
        content.add_manifest(bundles.VERSION, document, layers)

    async def _card(self, content: _Content, cards: Operations[Any], keys: Sequence[str]) -> list[dict[str, Any]]:
        raw = await cards.find(self._caller, (*keys, CARD))
        if raw is None:
            return []
        return [content.add(bundles.CARD, raw["text"].encode(), annotations={bundles.TITLE: "card.md"})]

    async def _history(self, content: _Content, stored: Stored[Any], parent: str | None) -> dict[str, Any]:
        name = self._models.resource.name if parent is None else self._versions.resource.name
        events: list[dict[str, Any]] = []
        before: tuple[datetime, UUID] | None = None
        while True:
            request = HistoryRequest(name, stored.key, parent, self._caller.scope, EVENTS, before)
            found = await self._registry.hooks.history(request)
            events += [asdict(event) for event in found]
            if len(found) < EVENTS:
                break
            before = (found[-1].time, found[-1].id)
        title = {bundles.TITLE: "history.json"}
        return content.add(bundles.HISTORY, dumps({"events": events[::-1]}), annotations=title)

    # how

    async def _write(self, path: Path, index: bytes, content: _Content) -> None:
        with path.open("wb") as file:
            writer = BundleWriter(file)
            writer.add(bundles.LAYOUT, bundles.LAYOUT_CONTENT)
            writer.add(bundles.INDEX, index)
            for digest, document in content.documents.items():
                writer.add(member_of(digest), document)
            for digest, blob in content.files.items():
                if digest not in content.documents:
                    await self._copy(writer, digest, blob)
            writer.close()
            file.flush()
            os.fsync(file.fileno())

    async def _copy(self, writer: BundleWriter, digest: str, blob: Blob) -> None:
        writer.begin(member_of(digest), blob.size)
        hashed = hashlib.sha256()
        try:
            async with aclosing(self._artifacts.blobs.read(blob, range(blob.size))) as pieces:
                async for piece in pieces:
                    hashed.update(piece)
                    writer.write(piece)
        except LookupError as error:
            raise ConfigurationError(f"the bytes of {digest} are damaged: {error}") from error
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise ConfigurationError(f"the bytes of {digest} are damaged: they have another digest")
        writer.end(blob.size)


def _wire(stored: Stored[Any]) -> dict[str, Any]:
    wire: dict[str, Any] = json.loads(dumps(stored.codec.wire(stored.raw)))
    return wire
