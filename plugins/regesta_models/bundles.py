"""Bundles: a model with versions, cards, files, digests and history in one archive, to be carried between registries.

A tar file with the content of an OCI image layout (image-spec 1.1): `index.json` lists a manifest for the model and
one for each version; a manifest lists its document (`config`), its card and its files (`layers`); and each of these is
kept once, named by its digest. So whoever knows the digest of `index.json` can check all of it, with other tools too.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from regesta.errors import ConfigurationError

LAYOUT, INDEX = "oci-layout", "index.json"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'
FOLDER = "blobs/sha256/"
TITLE = "org.opencontainers.image.title"

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BUNDLE = "application/vnd.regesta.bundle.v1"
MODEL = "application/vnd.regesta.model.v1+json"
VERSION = "application/vnd.regesta.version.v1+json"
HISTORY = "application/vnd.regesta.history.v1+json"
FILE = "application/octet-stream"
CARD = "text/markdown"

PIECE = 2**20
LARGEST_DOCUMENT = 32 * PIECE  # twice what MongoDB keeps as one
_BLOB = re.compile(rf"{FOLDER}[0-9a-f]{{64}}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class BadBundle(ConfigurationError):
    """The archive is not a bundle, or not what it was when it was written. The message names the file."""


def descriptor(kind: str, digest: str, size: int, **further: Any) -> dict[str, Any]:
    """How OCI names content: what it is, its digest and its size."""
    return {"mediaType": kind, "digest": digest, "size": size, **further}


def member_of(digest: str) -> str:
    """The name of the content in the archive."""
    return FOLDER + digest.removeprefix("sha256:")


@dataclass(frozen=True, slots=True)
class Entry:
    """A model or a version in a bundle: its document, its card, and the files whose bytes are there, by path."""

    kind: str
    document: dict[str, Any]
    files: dict[str, dict[str, Any]]
    card: str | None


class Bundle:
    """A bundle that was checked: every digest, before anything of it is used. Raises BadBundle."""

    def __init__(self, path: Path) -> None:
        try:
            self._archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed by `close`
        except (OSError, tarfile.TarError) as error:
            raise BadBundle(f"{path}: {error}") from error
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            self.digest = self._check()
        except tarfile.TarError as error:
            self.close()
            raise BadBundle(f"{path} is damaged: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()

    def entries(self) -> Iterator[Entry]:
        """The model, then its versions as they were listed."""
        for listed in self._json(INDEX)["manifests"]:
            manifest = self._json(member_of(listed["digest"]))
            layers = manifest["layers"]
            files = {layer.get("annotations", {}).get(TITLE): layer for layer in layers if layer["mediaType"] == FILE}
            cards = [member_of(layer["digest"]) for layer in layers if layer["mediaType"] == CARD]
            document = self._json(member_of(manifest["config"]["digest"]))
            yield Entry(manifest["artifactType"], document, files, self._text(cards[0]) if cards else None)

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Content, piece by piece."""
        file = self._file(self._members[member_of(digest)])
        while piece := file.read(PIECE):
            yield piece

    # checks

    def _check(self) -> str:
        changed = [name for name in self._hashed() if name]
        if changed:
            titles = self._titles(changed)
            raise BadBundle(f"these are not what they were written as: {', '.join(titles)}")
        for needed in (LAYOUT, INDEX):
            if needed not in self._members:
                raise BadBundle(f"{needed} is missing: this is no bundle")
        known = {LAYOUT, INDEX}
        try:
            for listed in self._json(INDEX)["manifests"]:
                known |= self._known(listed)
        except (KeyError, TypeError, AttributeError) as error:
            raise BadBundle(f"{INDEX} or a manifest is not as OCI wants it: {error!r}") from error
        if unknown := self._members.keys() - known:
            raise BadBundle(f"nothing tells what these are: {', '.join(sorted(unknown))}")
        return hashlib.sha256(self._read(INDEX)).hexdigest()

    def _hashed(self) -> Iterator[str]:
        """Reads every member once; the names of those that have another content."""
        for member in self._archive:
            if member.isdir() and f"{member.name}/" in ("blobs/", FOLDER):
                continue
            if not (member.name in (LAYOUT, INDEX) or _BLOB.fullmatch(member.name)):
                raise BadBundle(f"{member.name!r} does not belong into a bundle")
            if not member.isreg() or member.issparse():
                raise BadBundle(f"{member.name!r} is not a plain file")
            if member.name in self._members:
                raise BadBundle(f"{member.name} is there twice")
            self._members[member.name] = member
            if member.name.startswith(FOLDER) and self._digest(member) != member.name.removeprefix(FOLDER):
                yield member.name

    def _digest(self, member: tarfile.TarInfo) -> str:
        file, digest = self._file(member), hashlib.sha256()
        while piece := file.read(PIECE):
            digest.update(piece)
        return digest.hexdigest()

    def _known(self, listed: dict[str, Any]) -> set[str]:
        """The members that a manifest accounts for, itself among them."""
        found = {self._present(listed, "a manifest")}
        manifest = self._json(member_of(listed["digest"]))
        if manifest["artifactType"] not in (MODEL, VERSION):
            raise BadBundle(f"{member_of(listed['digest'])} is of the kind {manifest['artifactType']!r}")
        found.add(self._present(manifest["config"], "a document"))
        return found | {
            self._present(layer, str(layer.get("annotations", {}).get(TITLE))) for layer in manifest["layers"]
        }

    def _present(self, listed: dict[str, Any], what: str) -> str:
        if not _DIGEST.fullmatch(str(listed["digest"])):
            raise BadBundle(f"{what}: {listed['digest']!r} is no digest")
        name = member_of(listed["digest"])
        if name not in self._members:
            raise BadBundle(f"{name} ({what}) is missing")
        if self._members[name].size != listed["size"]:
            raise BadBundle(f"{name} ({what}) has another size than its manifest says")
        return name

    def _titles(self, names: list[str]) -> list[str]:
        """The names with what they hold, as far as what is left of the manifests tells."""
        held: dict[str, str] = {}
        for name in self._members:
            try:
                layers = self._json(name)["layers"]
                held |= {member_of(layer["digest"]): layer["annotations"][TITLE] for layer in layers}
            except (BadBundle, KeyError, TypeError, ValueError):
                continue
        return [f"{name} ({held[name]})" if name in held else name for name in names]

    # content

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(self._read(name))
        except ValueError as error:
            raise BadBundle(f"{name} is not JSON") from error
        if not isinstance(found, dict):
            raise BadBundle(f"{name} is not a JSON object")
        return found

    def _text(self, name: str) -> str:
        try:
            return self._read(name).decode()
        except UnicodeDecodeError as error:
            raise BadBundle(f"{name} is not UTF-8") from error

    def _read(self, name: str) -> bytes:
        if name not in self._members:
            raise BadBundle(f"{name} is missing")
        if self._members[name].size > LARGEST_DOCUMENT:
            raise BadBundle(f"{name} is too large for a document")
        content: bytes = self._file(self._members[name]).read()
        return content

    def _file(self, member: tarfile.TarInfo) -> Any:
        file = self._archive.extractfile(member)
        if file is None:
            raise BadBundle(f"{member.name} is not a plain file")
        return file


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
