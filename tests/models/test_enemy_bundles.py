"""Bundles from an enemy: `BadBundle` with the name of the member, never a traceback, and nothing is written."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.models.application import MERGE_PATCH, Service
from tests.models.test_bundles import ELSEWHERE, export, read

from regesta_models.bundle_archive import BLOCK
from regesta_models.bundles import (
    CARD,
    FILE,
    LAYOUT_CONTENT,
    MANIFEST_TYPE,
    MODEL,
    TITLE,
    VERSION,
    BadBundle,
    Bundle,
    descriptor,
)

Members = dict[str, bytes]
PARTS = ("index", "model", "version", "model manifest", "version manifest")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def good() -> Members:
    """The members of a bundle that is good: a model with a card, and version 3 with two files."""
    files = {"labels.txt": b"cat", "weights.bin": b"weights"}
    told = [{"path": path, "size": len(content), "sha256": sha256(content)} for path, content in files.items()]
    body = {"params": {"depth": 3}, "metrics": [{"name": "top1", "value": 0.8}], "artifacts": told, "status": "ready"}
    version = {"model": "resnet", "number": 3, "identity": "a" * 64, "aliases": ["best"], "version": body}
    model = {"name": "resnet", "model": {"name": "resnet", "kind": "model"}}
    members: Members = {"oci-layout": LAYOUT_CONTENT, "index.json": b""}

    def add(kind: str, content: bytes, title: str = "", **further: str) -> dict[str, Any]:
        members["blobs/sha256/" + sha256(content)] = content
        annotations = {"annotations": {TITLE: title}} if title else {}
        return descriptor(kind, f"sha256:{sha256(content)}", len(content), **annotations, **further)

    def manifest(kind: str, document: Any, layers: list[dict[str, Any]]) -> dict[str, Any]:
        config = add(kind, canonical_json(document))
        found = {"schemaVersion": 2, "artifactType": kind, "config": config, "layers": layers}
        return add(MANIFEST_TYPE, canonical_json(found), artifactType=kind)

    layers = [add(FILE, content, path) for path, content in files.items()]
    manifests = [manifest(MODEL, model, [add(CARD, b"# ResNet", "card.md")]), manifest(VERSION, version, layers)]
    members["index.json"] = canonical_json({"schemaVersion": 2, "manifests": manifests})
    return members


def canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def pack(path: Path, members: Members) -> Path:
    with tarfile.open(path, "w") as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def load(members: Members, digest: str) -> Any:
    return json.loads(members["blobs/sha256/" + digest.removeprefix("sha256:")])


class Parts:
    """The documents of a bundle, to be changed; `packed` names each by its new digest."""

    def __init__(self, members: Members) -> None:
        self.members = dict(members)
        self.index = json.loads(members["index.json"])
        self.manifests = [load(members, listed["digest"]) for listed in self.index["manifests"]]
        self.documents = [load(members, manifest["config"]["digest"]) for manifest in self.manifests]
        for listed, manifest in zip(self.index["manifests"], self.manifests, strict=True):
            for named in (listed, manifest["config"]):
                self.members.pop("blobs/sha256/" + named["digest"].removeprefix("sha256:"), None)

    def part(self, name: str) -> Any:
        at = 1 if name.startswith("version") else 0
        if name == "index":
            return self.index
        return (self.manifests if name.endswith("manifest") else self.documents)[at]

    def packed(self, path: Path) -> Path:
        for at, (manifest, document) in enumerate(zip(self.manifests, self.documents, strict=True)):
            if isinstance(manifest, dict) and isinstance(manifest.get("config"), dict):
                manifest["config"].update(self._add(document))
            listed = self.index["manifests"]
            if isinstance(listed, list) and at < len(listed) and isinstance(listed[at], dict):
                listed[at].update(self._add(manifest))
        self.members["index.json"] = json.dumps(self.index).encode()
        return pack(path, self.members)

    def _add(self, document: Any) -> dict[str, Any]:
        content = json.dumps(document).encode()
        digest = hashlib.sha256(content).hexdigest()
        self.members["blobs/sha256/" + digest] = content
        found = descriptor("", f"sha256:{digest}", len(content))
        return {"digest": found["digest"], "size": found["size"]}


async def refused(service: Service, path: Path) -> str:
    """What is said of a bundle that is refused before anything is written."""
    with pytest.raises(BadBundle) as refusal:
        await read(service, path)
    assert not any([await service.database[name].count_documents({}) for name in ("models", "versions", "blobs")])
    return str(refusal.value)


async def test_a_bundle_that_is_packed_again_is_taken(service: Service, good: Members, tmp_path: Path) -> None:
    assert (await read(service, Parts(good).packed(tmp_path / "x.tar"))).created == [3]


def put(*path: Any, value: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return change


def twice(*path: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for part in path:
            document = document[part]
        document.append(document[0])

    return change


@pytest.mark.parametrize(
    "case",
    [
        ("version", put("number", value=True), "number: Input should be a valid integer"),
        ("version", put("number", value=2**61), "number: Input should be less than or equal to 2147483647"),
        ("version", put("number", value=-1), "number"),
        ("version", put("number", value=3.0), "number"),
        ("version", put("identity", value="x" * 64), "identity"),
        ("version", put("aliases", value=["../x"]), "aliases.0"),
        ("version", put("aliases", value=["a", "a"]), "the alias 'a' is there twice"),
        ("version", put("model", value="vit"), "is of the model 'vit'"),
        ("version", put("version", "params", value=[]), "params"),
        ("version", put("version", "artifacts", 0, "size", value=True), "artifacts.0.size"),
        ("version", put("version", "artifacts", 1, "size", value=5), "its document says 5"),
        ("version", put("version", "artifacts", 0, "path", value="../x"), "none that its document tells of"),
        ("version", put("version", "status", value="pending"), "is pending"),
        ("version", put("version", "number", value=7), "number"),
        ("version", put("version", "metrics", 0, "value", value=float("nan")), "no JSON"),
        ("version", put("version", "params", value={"n": 10**400}), ""),
        ("model", put("name", value="\u202e"), ""),
        ("model", put("name", value=["resnet"]), "name"),
        ("model", put("model", "name", value="vit"), "another name"),
        ("model", put("model", "kind", value="x"), "kind"),
        ("model manifest", put("artifactType", value="text/plain"), "artifactType"),
        ("version manifest", put("layers", 0, "digest", value=5), "layers.0.digest"),
        ("version manifest", put("layers", 0, "annotations", value=5), "layers.0.annotations"),
        ("version manifest", put("layers", 0, "annotations", value={"a": 5}), "layers.0.annotations"),
        ("version manifest", put("layers", 0, "size", value=True), "layers.0.size"),
        ("version manifest", put("layers", 0, value="x"), "layers.0"),
        ("version manifest", put("layers", value={}), "layers"),
        ("index", twice("manifests"), "lists 2 models"),
        ("index", put("manifests", value={}), "manifests"),
        ("index", put("schemaVersion", value=True), "schemaVersion"),
    ],
)
async def test_wrong_values(
    memory_service: Service, good: Members, tmp_path: Path, case: tuple[str, Callable[[Any], None], str]
) -> None:
    part, change, said = case
    parts = Parts(good)
    change(parts.part(part))
    told = await refused(memory_service, parts.packed(tmp_path / "x.tar"))
    assert said in told
    assert "blobs/sha256/" in told or "index.json" in told


async def test_a_file_that_is_listed_twice(memory_service: Service, good: Members, tmp_path: Path) -> None:
    parts = Parts(good)
    files = parts.part("version manifest")["layers"]
    files.append(next(layer for layer in files if layer["mediaType"] == "application/octet-stream"))
    assert "is there twice" in await refused(memory_service, parts.packed(tmp_path / "x.tar"))


async def test_a_version_that_is_listed_twice(memory_service: Service, good: Members, tmp_path: Path) -> None:
    parts = Parts(good)
    for own in (parts.index["manifests"], parts.manifests, parts.documents):
        own.append(json.loads(json.dumps(own[1])))
    parts.documents[2]["identity"] = "0" * 64
    assert "the number 3 is there twice" in await refused(memory_service, parts.packed(tmp_path / "x.tar"))


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1, "a": 2}', b"[" * 100_000, b'{"manifests": NaN}', b"\xff\xfe{}", b"", b'"\\ud800"', b"9" * 5000],
)
async def test_json_that_is_none(memory_service: Service, good: Members, tmp_path: Path, content: bytes) -> None:
    told = await refused(memory_service, pack(tmp_path / "x.tar", {**good, "index.json": content}))
    assert "index.json" in told


def test_any_value_in_any_place(good: Members, tmp_path: Path) -> None:
    """Every place of every document gets a value of another type: BadBundle, or it is no place that is read."""
    chance = random.Random(17)
    values: list[Any] = [None, True, -1, 2**63, 1.5, "", "\u202e\u0000", [], {}, [{}], {"a": [1]}]
    for name in PARTS:
        for path in places(Parts(good).part(name)):
            parts = Parts(good)
            put(*path, value=chance.choice(values))(parts.part(name))
            with suppress(BadBundle):
                Bundle(parts.packed(tmp_path / "x.tar")).close()


def places(document: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(document, dict | list):
        return []
    found: list[tuple[Any, ...]] = []
    for name, value in document.items() if isinstance(document, dict) else enumerate(document):
        found += [(*above, name), *places(value, (*above, name))]
    return found


# archives


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **fields: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(records: bytes) -> bytes:
    return header("x", len(records), tarfile.XHDTYPE) + records + bytes(-len(records) % BLOCK)


END = bytes(2 * BLOCK)
BLOB = "blobs/sha256/" + "0" * 64


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (header("index.json", -BLOCK) + END, "index.json"),
        (header("oci-layout") + header("index.json", -BLOCK) + END, "index.json"),
        (header(BLOB, 2**60) + END, BLOB),
        (header(BLOB, 2**60, tarfile.XHDTYPE) + END, "extended header"),
        (pax(b"13 size=-512\n") + header("index.json", 5) + END, "size"),
        (pax(b"99999999 size=1\n") + header("index.json", 5) + END, "extended header"),
        (pax(b"18 path=index.json\n") + header("x", 5) + END, "another name"),
        (pax(b"") * 2000 + END, "plain file"),
        (header("pax_global_header", 0, tarfile.XGLTYPE) + END, "pax_global_header"),
        (header("././@LongLink", 2**40, tarfile.GNUTYPE_LONGNAME) + END, "LongLink"),
        (header(BLOB, 0, tarfile.GNUTYPE_SPARSE) + END, BLOB),
        (header("index.json", 0, tarfile.SYMTYPE, linkname="/etc/passwd") + END, "index.json"),
        (header(BLOB, 0, tarfile.LNKTYPE, linkname="index.json") + END, BLOB),
        (header("dev", 0, tarfile.CHRTYPE) + END, "dev"),
        (header("dev", 0, tarfile.BLKTYPE) + END, "dev"),
        (header("pipe", 0, tarfile.FIFOTYPE) + END, "pipe"),
        (header("../index.json") + END, "../index.json"),
        (header("/index.json") + END, "/index.json"),
        (header("index\u202e.json") + END, "\\u202e"),
        (header("blobs/sha256/" + "0" * 64 + "\n") + END, "\\n"),
        (header("\x1b[31mred") + END, "\\x1b"),
        (header("blobs/", 5, tarfile.DIRTYPE) + END, "blobs"),
        (header("index.json") + header("index.json") + END, "index.json is there twice"),
        (header("index.json"), "cut"),
        (END + b"more", "after the end"),
        (b"\x1f\x8b" + bytes(600), "no tar file"),
        (b"", "cut"),
    ],
)
def test_archives(tmp_path: Path, archive: bytes, said: str) -> None:
    (tmp_path / "x.tar").write_bytes(archive)
    with pytest.raises(BadBundle) as refusal:
        Bundle(tmp_path / "x.tar")
    assert said in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


def test_noise_anywhere_is_refused(good: Members, tmp_path: Path) -> None:
    """What is changed is refused, or does not matter: times and padding."""
    whole = bytearray(
        pack(tmp_path / "good.tar", {name: content for name, content in good.items() if content != b"cat"}).read_bytes()
    )
    chance = random.Random(17)
    for _ in range(300):
        noisy = bytearray(whole)
        for _ in range(chance.choice((1, 1, 8))):
            noisy[chance.randrange(len(noisy))] = chance.randrange(256)
        (tmp_path / "x.tar").write_bytes(noisy[: chance.choice((len(noisy), chance.randrange(len(noisy))))])
        with pytest.raises(BadBundle):
            Bundle(tmp_path / "x.tar")  # a file is missing from it, in any case


# sizes of what is kept


async def test_another_size_of_kept_bytes_is_refused(service: Service, tmp_path: Path) -> None:
    artifacts = await service.pending()
    entry = (await service.client.put(f"{artifacts}/a.bin", content=b"bytes")).json()
    answer = await service.client.post("/models/resnet/versions", json={"artifacts": [{**entry, "size": 7}]})
    assert answer.status_code == 422
    assert [issue["pointer"] for issue in answer.json()["errors"]] == ["/artifacts/0/size"]
    patch = {"artifacts": [{**entry, "size": 7}]}
    version = artifacts.removesuffix("/artifacts")
    assert (await service.client.patch(version, json=patch, headers=MERGE_PATCH)).status_code == 422
    assert (await service.client.post("/models/resnet/versions", json={"artifacts": [entry]})).status_code == 201


async def test_a_size_that_was_said_before_the_bytes_came(service: Service, tmp_path: Path) -> None:
    await service.model()
    version = await service.version(artifacts=[{"path": "a.bin", "size": 7, "sha256": sha256(b"bytes")}])
    assert (await service.client.put(f"{await service.pending()}/b.bin", content=b"bytes")).status_code == 201
    path = f"/models/resnet/versions/{version['number']}/artifacts"
    listed = (await service.client.get(path)).json()
    assert (listed["size"], listed["artifacts"][0]["size"]) == (5, 5)
    await export(service, tmp_path / "x.tar", "resnet/1")
    await read(service, tmp_path / "x.tar", ELSEWHERE)
    there = (await service.client.get("/models/resnet/versions/1", headers={"X-Regesta-Workspace": "elsewhere"})).json()
    assert there["artifacts"][0]["size"] == 5
