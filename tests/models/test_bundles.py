"""Bundles: from one registry into another, checked, and once."""

import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.models.application import MERGE_PATCH, Service, serve

from regesta import Caller, Conflict, NotFound
from regesta.store import open_store
from regesta_models import Blobs, bundle_imports
from regesta_models.blob_records import BlobRecords
from regesta_models.bundle_exports import Exported, Exporter
from regesta_models.bundle_imports import Imported, Importer
from regesta_models.bundles import BadBundle, Bundle

CALLER = Caller(scope={"workspace": "default"})
ELSEWHERE = Caller(scope={"workspace": "elsewhere"})
WEIGHTS = b"weights " * 300_000
MODEL_CARD = "---\nlicense: MIT\n---\n# ResNet\n\nSees — ☃\n"
VERSION_CARD = "# Version 3\n"
VERSION_3 = "/models/resnet/versions/3"


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def filled(service: Service) -> None:
    """A model with three versions that are ready, one that is gone, one that is pending, two aliases, two cards."""
    await service.model(description="sees", license="MIT", tags=[{"key": "family", "value": "cnn"}])
    await write_card(service, "/models/resnet", MODEL_CARD)
    for number in (1, 2, 3, 4):
        artifacts = await service.pending(
            params={"depth": number, "rate": 0.1},
            lineage={"parents": [{"model": "resnet", "version": number - 1}] if number > 1 else []},
            metrics=[{"name": "top1", "value": 0.5 + number / 10}],
        )
        await service.client.put(f"{artifacts}/weights.bin", content=WEIGHTS)
        await service.client.put(f"{artifacts}/labels/{number}.txt", content=b"cat %d" % number)
        await service.ready(artifacts)
    await service.client.delete("/models/resnet/versions/2")
    await write_card(service, VERSION_3, VERSION_CARD)
    await service.pending()
    await service.point("production", 3)
    await service.point("candidate", 4)


async def write_card(service: Service, path: str, text: str, workspace: str = "default") -> None:
    headers = {"Content-Type": "text/markdown", "X-Regesta-Workspace": workspace}
    answer = await service.client.put(f"{path}/card", content=text.encode(), headers=headers)
    assert answer.status_code in (200, 201), answer.text


async def cards_of(service: Service, workspace: str) -> dict[str, str]:
    headers = {"X-Regesta-Workspace": workspace, "Accept": "text/markdown"}
    paths = ["/models/resnet", *(f"/models/resnet/versions/{number}" for number in (1, 3, 4))]
    answers = {path: await service.client.get(f"{path}/card", headers=headers) for path in paths}
    return {path: answer.text for path, answer in answers.items() if answer.status_code == 200}


async def export(service: Service, path: Path, reference: str = "resnet", caller: Caller = CALLER) -> Exported:
    return await Exporter(service.registry, service.artifacts, caller).export(reference, path)


async def read(service: Service, path: Path, caller: Caller = ELSEWHERE) -> Imported:
    bundle = Bundle(path)
    try:
        return await Importer(service.registry, service.artifacts, caller).read(bundle)
    finally:
        bundle.close()


async def state(service: Service, workspace: str) -> dict[str, Any]:
    headers = {"X-Regesta-Workspace": workspace}
    versions = (await service.client.get("/models/resnet/versions?sort=number", headers=headers)).json()["items"]
    kept = {}
    for version in versions:
        for file in version["artifacts"]:
            path = f"/models/resnet/versions/{version['number']}/artifacts/{file['path']}"
            kept[version["number"], file["path"]] = (await service.client.get(path, headers=headers)).content
    own = {"id", "workspace", "model_id", "created_at", "updated_at", "origin"}
    shown = [{name: value for name, value in version.items() if name not in own} for version in versions]
    model = (await service.client.get("/models/resnet", headers=headers)).json()
    aliases = (await service.client.get("/models/resnet/aliases", headers=headers)).json()
    return {
        "model": {name: value for name, value in model.items() if name not in own},
        "versions": [version for version in shown if version["status"] != "pending"],
        "aliases": aliases,
        "files": kept,
    }


async def test_a_round(service: Service, mongod_uri: str, tmp_path: Path) -> None:
    await filled(service)
    before = await state(service, "default")
    done = await export(service, tmp_path / "resnet.tar")
    assert (done.model, done.numbers) == ("resnet", [1, 3, 4])
    assert done.size == len(WEIGHTS) + 3 * len(b"cat 1")

    # Another workspace of the same database is as far away as another database.
    first = await read(service, tmp_path / "resnet.tar")
    assert first.new_model
    assert first.numbers == {1: 1, 3: 3, 4: 4}
    assert sorted(first.aliases) == ["candidate", "production"]
    assert first.cards == ["the model", "version 3"]
    assert await cards_of(service, "elsewhere") == {"/models/resnet": MODEL_CARD, VERSION_3: VERSION_CARD}
    assert await state(service, "elsewhere") == before

    again = await read(service, tmp_path / "resnet.tar")
    assert not again.changed
    assert again.numbers == first.numbers
    home = await read(service, tmp_path / "resnet.tar", CALLER)
    assert not home.changed
    assert await state(service, "elsewhere") == before


@dataclass
class Asked:
    """What is asked of the records of bytes while a bundle is imported."""

    found: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    seen, whole, touch = Asked(), Blobs.whole, BlobRecords.touch

    async def finding(self: Blobs, workspace: str, sha256: str) -> Any:
        seen.found.append(sha256)
        return await whole(self, workspace, sha256)

    async def touching(self: BlobRecords, workspace: str, contents: Iterable[str]) -> None:
        seen.touched += contents
        await touch(self, workspace, contents)

    monkeypatch.setattr(Blobs, "whole", finding)
    monkeypatch.setattr(BlobRecords, "touch", touching)
    return seen


async def of_many_files(service: Service, count: int) -> None:
    artifacts = await service.pending()
    for number in range(count):
        await service.client.put(f"{artifacts}/{number}", content=b"%d" % number)
    await service.ready(artifacts)


async def test_each_content_is_asked_for_once(service: Service, tmp_path: Path, asked: Asked) -> None:
    await of_many_files(service, 20)
    await export(service, tmp_path / "b.tar")
    await service.client.delete("/models/resnet?cascade=true")
    for caller, touched in ((ELSEWHERE, 0), (CALLER, 20)):
        asked.found.clear()
        done = await read(service, tmp_path / "b.tar", caller)
        assert (done.created, len(asked.found), len(set(asked.found))) == ([1], 20, 20)
        # What is here already stays for another hour.
        assert len(asked.touched) == touched


async def test_what_came_first_stays_until_the_last_has_come(
    service: Service, tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle_imports, "TOUCH", -1)
    await of_many_files(service, 3)
    await export(service, tmp_path / "b.tar")
    await read(service, tmp_path / "b.tar")
    assert sorted(Counter(asked.touched).values()) == [1, 3, 5]


async def test_a_card_that_is_here_stays(service: Service, tmp_path: Path) -> None:
    await filled(service)
    await export(service, tmp_path / "resnet.tar")
    await read(service, tmp_path / "resnet.tar")
    await write_card(service, "/models/resnet", "ours", "elsewhere")
    gone = await service.client.delete(f"{VERSION_3}/card", headers={"X-Regesta-Workspace": "elsewhere"})
    assert gone.status_code == 204
    again = await read(service, tmp_path / "resnet.tar")
    assert again.changed
    assert again.cards == ["version 3"]
    assert await cards_of(service, "elsewhere") == {"/models/resnet": "ours", VERSION_3: VERSION_CARD}


async def test_a_card_that_is_none_is_refused(service: Service, tmp_path: Path) -> None:
    await filled(service)
    await service.database["model_cards"].update_one({}, {"$set": {"text": "---\nlicense: [MIT\n---\n"}})
    await export(service, tmp_path / "resnet.tar")
    with pytest.raises(BadBundle, match="the card of the model is none: body: line 3"):
        await read(service, tmp_path / "resnet.tar")
    assert (await service.client.get("/models", headers={"X-Regesta-Workspace": "elsewhere"})).json()["items"] == []


async def test_another_registry(service: Service, mongod_uri: str, tmp_path: Path) -> None:
    await filled(service)
    before = await state(service, "default")
    await export(service, tmp_path / "resnet.tar")
    async with open_store(mongod_uri, database=f"{service.database.name}_b") as store:
        async with serve(store.database) as other:
            done = await read(other, tmp_path / "resnet.tar", CALLER)
            assert done.new_model
            assert await state(other, "default") == before
            assert await store.database["blobs"].count_documents({"candidate": True}) == 0
            onwards = await export(other, tmp_path / "onwards.tar")
            events = await other.database["audit_events"].count_documents({"resource": "versions", "action": "create"})
            assert events == len(onwards.numbers)
        await store.client.drop_database(store.database.name)
    async with serve(service.database) as back:
        # It went on from there and came back: still the same versions.
        assert not (await read(back, tmp_path / "onwards.tar", CALLER)).changed


async def test_what_is_exported_is_an_oci_layout(service: Service, tmp_path: Path) -> None:
    await filled(service)
    done = await export(service, tmp_path / "resnet.tar")
    with tarfile.open(tmp_path / "resnet.tar") as archive:
        content = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert json.loads(content["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(content["index.json"])
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert len(index["manifests"]) == 4
    for listed in index["manifests"]:
        raw = content["blobs/sha256/" + listed["digest"].removeprefix("sha256:")]
        assert len(raw) == listed["size"]
        manifest = json.loads(raw)
        assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        assert manifest["layers"][-1]["mediaType"] == "application/vnd.regesta.history.v1+json"
        history = json.loads(content["blobs/sha256/" + manifest["layers"][-1]["digest"].removeprefix("sha256:")])
        assert history["events"][0]["action"] == "create"
    assert len([name for name, raw in content.items() if raw == WEIGHTS]) == 1
    assert (await export(service, tmp_path / "again.tar")).digest == done.digest
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "resnet.tar").read_bytes()


async def test_one_version(service: Service, tmp_path: Path) -> None:
    await filled(service)
    assert (await export(service, tmp_path / "a", "resnet@production")).numbers == [3]
    assert (await export(service, tmp_path / "b", "resnet/1")).numbers == [1]
    for missing in ("vit", "resnet@none", "resnet/9", "vit@none", "@x", "/1"):
        with pytest.raises(NotFound):
            await export(service, tmp_path / "c", missing)
    with pytest.raises(Conflict, match="pending"):
        await export(service, tmp_path / "c", "resnet/5")
    assert files_in(tmp_path) == ["a", "b"]


async def test_numbers_that_are_taken(service: Service, tmp_path: Path) -> None:
    await filled(service)
    await export(service, tmp_path / "resnet.tar")
    headers = {"X-Regesta-Workspace": "elsewhere"}
    await service.client.post("/models", json={"name": "resnet", "description": "another"}, headers=headers)
    for depth in (7, 8, 9):
        await service.client.post("/models/resnet/versions", json={"params": {"depth": depth}}, headers=headers)
    await service.client.put("/models/resnet/aliases/production", json={"version": 1}, headers=headers)
    done = await read(service, tmp_path / "resnet.tar")
    assert not done.new_model
    assert done.numbers == {1: 4, 3: 5, 4: 6}
    assert done.left == {"production": "stands for version 1"}
    found = await state(service, "elsewhere")
    assert found["model"]["description"] == "another"
    assert found["aliases"] == {"production": 1, "candidate": 6}
    by_number = {version["number"]: version for version in found["versions"]}
    assert [by_number[number]["params"]["depth"] for number in (1, 2, 3, 4, 5, 6)] == [7, 8, 9, 1, 3, 4]
    assert by_number[6]["lineage"]["parents"] == [{"model": "resnet", "version": 5}]
    again = await read(service, tmp_path / "resnet.tar")
    assert (again.changed, again.numbers) == (False, done.numbers)


async def test_what_changed_since_is_left(service: Service, tmp_path: Path) -> None:
    await filled(service)
    await export(service, tmp_path / "resnet.tar")
    await read(service, tmp_path / "resnet.tar")
    headers = {"X-Regesta-Workspace": "elsewhere", **MERGE_PATCH}
    await service.client.patch("/models/resnet/versions/3", json={"description": "ours"}, headers=headers)
    await service.client.patch("/models/resnet/versions/3", json={"description": "theirs"}, headers=MERGE_PATCH)
    await export(service, tmp_path / "later.tar")
    assert not (await read(service, tmp_path / "later.tar")).changed
    found = await state(service, "elsewhere")
    assert [version["description"] for version in found["versions"] if version["number"] == 3] == ["ours"]


# tampering


def rewritten(path: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> Path:
    target = path.with_name("tampered.tar")
    with tarfile.open(path) as source, tarfile.open(target, "w") as out:
        for member in source:
            file = source.extractfile(member)
            for info, content in change(member, file.read() if file else b""):
                info.size = len(content) if info.isreg() else 0
                out.addfile(info, io.BytesIO(content))
    return target


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


async def test_whatever_is_changed_is_found_and_named(service: Service, tmp_path: Path) -> None:
    await filled(service)
    path = tmp_path / "resnet.tar"
    await export(service, path)
    with tarfile.open(path) as archive:
        names = [info.name for info in archive if info.name.startswith("blobs/")]
    for name in names:
        flipped = rewritten(path, lambda info, raw: [(info, raw[:-1] + b"?" if info.name == name else raw)])  # noqa: B023
        with pytest.raises(BadBundle, match=name):
            Bundle(flipped)
        gone = rewritten(path, lambda info, raw: [] if info.name == name else [(info, raw)])  # noqa: B023
        with pytest.raises(BadBundle, match=name):
            Bundle(gone)
    weights = rewritten(path, lambda info, raw: [(info, raw.replace(b"weights weights", b"Weights weights", 1))])
    with pytest.raises(BadBundle, match=r"weights\.bin"):
        await read(service, weights)
    assert await service.database["models"].count_documents({"workspace": "elsewhere"}) == 0
    assert await service.database["blobs"].count_documents({"workspace": "elsewhere"}) == 0


async def test_members_that_do_not_belong(service: Service, tmp_path: Path) -> None:
    await filled(service)
    path = tmp_path / "resnet.tar"
    await export(service, path)
    blob = "blobs/sha256/" + "0" * 64
    empty = "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for extra, said in (
        (member("../evil"), "evil"),
        (member("/etc/passwd"), "passwd"),
        (member("blobs/sha256/../../x"), "x"),
        (member(blob, tarfile.SYMTYPE, "/etc/passwd"), "plain file"),
        (member(blob, tarfile.LNKTYPE, "index.json"), "plain file"),
        (member(blob, tarfile.FIFOTYPE), "plain file"),
        (member("more", tarfile.DIRTYPE), "more"),
        (member(empty), "nothing tells"),
        (member("index.json"), "twice"),
    ):
        tampered = rewritten(
            path,
            lambda info, raw: [(info, raw), *([(extra, b"")] if info.name == "index.json" else [])],  # noqa: B023
        )
        with pytest.raises(BadBundle, match=said):
            Bundle(tampered)


async def test_archives_that_are_cut_or_none(service: Service, tmp_path: Path) -> None:
    await filled(service)
    path = tmp_path / "resnet.tar"
    await export(service, path)
    whole = path.read_bytes()
    for size in (0, 100, 512, 5000, len(whole) // 2, len(whole) - 3000):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        with pytest.raises(BadBundle):
            Bundle(tmp_path / "cut.tar")
    (tmp_path / "noise.tar").write_bytes(b"\xff" * 5000)
    for name in ("noise.tar", "missing.tar"):
        with pytest.raises(BadBundle):
            Bundle(tmp_path / name)


@pytest.mark.parametrize(
    "index",
    [
        "[]",
        "{}",
        '{"manifests": 5}',
        '{"manifests": [5]}',
        '{"manifests": [{"digest": "sha256:../../x", "size": 1}]}',
        "\xff",
    ],
)
def test_an_index_that_is_none(tmp_path: Path, index: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        for name, content in (("oci-layout", b"{}"), ("index.json", index.encode("latin-1"))):
            info = member(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    with pytest.raises(BadBundle):
        Bundle(tmp_path / "x.tar")


async def test_bytes_that_are_damaged_are_not_exported(service: Service, tmp_path: Path) -> None:
    await filled(service)
    await service.database["artifacts.chunks"].update_one({"n": 1}, {"$set": {"data": b"0" * 2**20}})
    with pytest.raises(Exception, match="damaged"):
        await export(service, tmp_path / "resnet.tar")
    assert files_in(tmp_path) == []
