"""Bundles: a model with versions, cards, files, digests and history in one archive, to be carried between registries.

A tar file with the content of an OCI image layout (image-spec 1.1): `index.json` lists a manifest for the model and
one for each version; a manifest lists its document (`config`), its card and its files (`layers`); and each of these is
kept once, named by its digest. So whoever knows the digest of `index.json` can check all of it, with other tools too.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from regesta_models.bundle_archive import PIECE, BadBundle, Member, read_members, shown
from regesta_models.bundle_documents import (
    MODEL,
    TITLE,
    VERSION,
    Descriptor,
    File,
    Files,
    Index,
    Manifest,
    ModelDocument,
    VersionDocument,
    checked,
    read_document,
)

__all__ = [
    "MODEL",
    "TITLE",
    "VERSION",
    "BadBundle",
    "Bundle",
    "BundleWriter",
    "VersionEntry",
    "descriptor",
    "member_of",
]

LAYOUT, INDEX = "oci-layout", "index.json"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
FOLDER = "blobs/sha256/"

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.regesta.bundle.v1"
HISTORY = "application/vnd.regesta.history.v1+json"
FILE = "application/octet-stream"
CARD = "text/markdown"

LARGEST_DOCUMENT = 32 * PIECE  # twice what MongoDB keeps as one
LARGEST_DOCUMENTS = 4 * LARGEST_DOCUMENT  # of all together, which are in memory at the same time
_NAMES = (LAYOUT, INDEX)
_BLOB = re.compile(rf"{FOLDER}[0-9a-f]{{64}}")


def descriptor(kind: str, digest: str, size: int, **further: Any) -> dict[str, Any]:
    """How OCI names content: what it is, its digest and its size."""
    return {"mediaType": kind, "digest": digest, "size": size, **further}


def member_of(digest: str) -> str:
    """The name of the content in the archive."""
    return FOLDER + digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The model of a bundle. `member` is where its document is."""

    member: str
    document: ModelDocument
    card: str | None


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """A version in a bundle, and the files whose bytes are there, by path."""

    member: str
    document: VersionDocument
    card: str | None
    files: dict[str, Descriptor]


class Bundle:
    """A bundle that was checked as a whole, every digest and every document, before anything of it is used.

    Raises BadBundle, which names the member; nothing else, whatever the file is.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise BadBundle(f"{path}: {error.strerror}") from error
        self._members: dict[str, Member] = {}
        self._used = {LAYOUT, INDEX}
        self._left = LARGEST_DOCUMENTS
        try:
            self._check(path.stat().st_size)
        except OSError as error:
            self.close()
            raise BadBundle(f"{path}: {error.strerror or error}") from error
        except BadBundle as error:
            self.close()
            raise BadBundle(f"{path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the archive."""
        self._file.close()

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Content, piece by piece. Raises BadBundle if the file was changed since it was checked."""
        return self._pieces(self._members[member_of(digest)])

    # checks

    def _check(self, length: int) -> None:
        changed = self._index_members(length)
        for needed in _NAMES:
            if needed not in self._members:
                raise BadBundle(f"{needed} is missing: this is no bundle")
        if changed:
            raise BadBundle(f"these are not what they were written as: {', '.join(self._titled(changed))}")
        index = self._read(INDEX)
        self.digest = hashlib.sha256(index).hexdigest()
        manifests = read_document(Index, INDEX, index).manifests
        entries = [self._entry(listed) for listed in manifests]
        models = [entry for entry in entries if isinstance(entry, ModelEntry)]
        if len(models) != 1:
            raise BadBundle(f"{INDEX} lists {len(models)} models: a bundle has one")
        self.model = models[0]
        versions = [entry for entry in entries if isinstance(entry, VersionEntry)]
        self.versions = sorted(versions, key=lambda entry: entry.document.number)
        self._check_versions()
        if unknown := sorted(self._members.keys() - self._used):
            raise BadBundle(f"nothing tells what these are: {', '.join(unknown[:20])}")

    def _index_members(self, length: int) -> list[str]:
        """Read every member once; the names of those that have another content than their name says."""
        changed = []
        for member in read_members(self._file, length):
            name = member.name
            if member.is_folder and f"{name.rstrip('/')}/" in ("blobs/", FOLDER):
                continue
            if member.is_folder or not (name in _NAMES or _BLOB.fullmatch(name)):
                raise BadBundle(f"{shown(name)} does not belong into a bundle")
            if name in self._members:
                raise BadBundle(f"{name} is there twice")
            self._members[name] = member
            if name.startswith(FOLDER) and self._digest(member) != name.removeprefix(FOLDER):
                changed.append(name)
        return changed

    def _entry(self, listed: Descriptor) -> ModelEntry | VersionEntry:
        name = self._present(listed, "a manifest", INDEX)
        manifest = read_document(Manifest, name, self._read(name))
        config = self._present(manifest.config, "a document", name)
        for layer in manifest.layers:
            self._present(layer, f"the file {shown(layer.title or '')}", name)
        card = self._card(name, manifest)
        if manifest.artifactType == MODEL:
            return ModelEntry(config, read_document(ModelDocument, config, self._read(config)), card)
        document = read_document(VersionDocument, config, self._read(config))
        told = checked(Files, config, {"artifacts": document.version.get("artifacts", [])})
        if document.version.get("status") == "pending":
            raise BadBundle(f"{config}: version {document.number} is pending: it is not whole")
        return VersionEntry(config, document, card, _files(name, manifest, told.artifacts))

    def _check_versions(self) -> None:
        """No number, no version and no alias is there twice, and all are of the one model."""
        name = self.model.document.name
        seen: set[object] = set()
        for entry in self.versions:
            document = entry.document
            if document.model != name:
                raise BadBundle(f"{entry.member}: version {document.number} is of the model {shown(document.model)}")
            aliases = [f"the alias {shown(alias)}" for alias in document.aliases]
            for what in (f"the number {document.number}", f"the identity {document.identity}", *aliases):
                if what in seen:
                    raise BadBundle(f"{entry.member}: {what} is there twice")
                seen.add(what)

    def _present(self, listed: Descriptor, what: str, by: str) -> str:
        name = member_of(listed.digest)
        member = self._members.get(name)
        if member is None:
            raise BadBundle(f"{name} ({what} of {by}) is missing")
        if member.size != listed.size:
            raise BadBundle(f"{name} ({what}) has {member.size} bytes, and {by} says {listed.size}")
        self._used.add(name)
        return name

    def _titled(self, names: list[str]) -> list[str]:
        """The names with what they hold, as far as what is left of the manifests tells."""
        held: dict[str, str] = {}
        for name in self._members.keys() - set(names):
            if self._members[name].size > PIECE:
                continue
            try:
                layers = read_document(Manifest, name, self._read(name)).layers
            except BadBundle:
                continue
            held |= {member_of(layer.digest): shown(layer.title) for layer in layers if layer.title}
        return [f"{name} ({held[name]})" if name in held else name for name in names[:20]]

    # content

    def _card(self, name: str, manifest: Manifest) -> str | None:
        cards = [member_of(layer.digest) for layer in manifest.layers if layer.mediaType == CARD]
        if not cards:
            return None
        if len(cards) > 1:
            raise BadBundle(f"{name} has {len(cards)} cards")
        try:
            return self._read(cards[0]).decode()
        except UnicodeDecodeError as error:
            raise BadBundle(f"{cards[0]} is not UTF-8") from error

    def _read(self, name: str) -> bytes:
        """A whole document. They are bounded, each and together."""
        member = self._members[name]
        self._left -= member.size
        if member.size > LARGEST_DOCUMENT or self._left < 0:
            raise BadBundle(f"{name} is too large for a document, or all documents together are")
        return b"".join(self._pieces(member))

    def _digest(self, member: Member) -> str:
        digest = hashlib.sha256()
        for piece in self._pieces(member):
            digest.update(piece)
        return digest.hexdigest()

    def _pieces(self, member: Member) -> Iterator[bytes]:
        offset, end = member.offset, member.offset + member.size
        while offset < end:
            try:
                self._file.seek(offset)
                piece = self._file.read(min(PIECE, end - offset))
            except OSError as error:
                raise BadBundle(f"{member.name} cannot be read: {error.strerror}") from error
            if not piece:
                raise BadBundle(f"{member.name} is cut")
            offset += len(piece)
            yield piece


def _files(name: str, manifest: Manifest, told: Iterable[File]) -> dict[str, Descriptor]:
    """The files of a version whose bytes are there. Raises BadBundle if its document tells of others."""
    known = {file.path: file for file in told}
    found: dict[str, Descriptor] = {}
    for layer in manifest.layers:
        if layer.mediaType != FILE:
            continue
        title = layer.title
        file = known.get(title or "")
        if title is None or file is None or f"sha256:{file.sha256}" != layer.digest:
            raise BadBundle(f"{name}: the file {shown(title or '')} is none that its document tells of")
        if file.size != layer.size:
            raise BadBundle(
                f"{name}: the file {shown(title)} has {layer.size} bytes, and its document says {file.size}"
            )
        if title in found:
            raise BadBundle(f"{name}: the file {shown(title)} is there twice")
        found[title] = layer
    return found


class BundleWriter:
    """Writes the archive; the same content gives the same bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, name: str, content: bytes) -> None:
        """A member that is small."""
        self.begin(name, len(content))
        self.write(content)
        self.end(len(content))

    def begin(self, name: str, size: int) -> None:
        """A member of this size: exactly as many bytes are written next."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o644
        self._file.write(info.tobuf(tarfile.PAX_FORMAT))

    def write(self, piece: bytes) -> None:
        """Bytes of the member."""
        self._file.write(piece)

    def end(self, size: int) -> None:
        """The member is whole: fill its last block."""
        self._file.write(b"\0" * (-size % tarfile.BLOCKSIZE))

    def close(self) -> None:
        """The end of the archive."""
        self._file.write(b"\0" * 2 * tarfile.BLOCKSIZE)
