"""Files of versions over HTTP: in, out, parts, digests, conditions, paths."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.models.application import MERGE_PATCH, Service, at, audited, serve

from regesta import ConfigurationError
from regesta_models import vaults
from regesta_models.settings import ArtifactSettings

CONTENT = b"weights of a small model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MB = 2**20


def digest(content: bytes, algorithm: str = "sha256") -> str:
    name = {"sha256": "sha-256", "sha512": "sha-512"}[algorithm]
    return f"{name}=:{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}:"


async def records(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await service.database["blobs"].find({}).to_list(None)
    return found


async def kept_bytes(service: Service) -> int:
    found = await service.database["artifacts.chunks"].find({}, {"data": 1}).to_list(None)
    return sum(len(chunk["data"]) for chunk in found)


async def nothing_is_kept(service: Service) -> bool:
    return (await records(service), await kept_bytes(service)) == ([], 0)


async def test_a_file_goes_in_and_out(service: Service) -> None:
    path = f"{await service.pending()}/onnx/model.onnx"
    put = await service.client.put(path, content=CONTENT, headers={"Content-Digest": digest(CONTENT)})
    assert put.status_code == 201, put.text
    assert put.json() == {"path": "onnx/model.onnx", "size": len(CONTENT), "sha256": SHA256}
    assert put.headers["etag"] == f'"{SHA256}"'
    got = await service.client.get(path)
    assert (got.status_code, got.content) == (200, CONTENT)
    assert got.headers["etag"] == f'"{SHA256}"'
    assert got.headers["repr-digest"] == digest(CONTENT)
    assert got.headers["content-length"] == str(len(CONTENT))
    assert got.headers["accept-ranges"] == "bytes"
    head = await service.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))
    version = (await service.client.get(path.partition("/artifacts")[0])).json()
    assert version["artifacts"] == [put.json()]


async def test_no_browser_takes_it_for_a_page(service: Service) -> None:
    path = f"{await service.pending()}/a/résumé 1.html"
    await service.client.put(path, content=b"<script>", headers={"Content-Type": "text/html"})
    got = await service.client.get(path)
    assert got.headers["content-type"] == "application/octet-stream"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9%201.html"


async def test_every_size_comes_back(service: Service) -> None:
    artifacts = await service.pending()
    for size in (0, 1, MB - 1, MB, MB + 1, 4 * MB, 9 * MB + 5):
        content = os.urandom(size)
        put = await service.client.put(f"{artifacts}/{size}.bin", content=content)
        assert (put.status_code, put.json()["size"]) == (201, size)
        assert (await service.client.get(f"{artifacts}/{size}.bin")).content == content


async def test_a_body_without_a_length_is_taken(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"a", b"", b"bc"):
            yield piece

    assert (await service.client.put(path, content=pieces())).status_code == 201
    assert (await service.client.get(path)).content == b"abc"


async def test_a_body_that_stalls_is_given_up_and_leaves_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regesta.http.streams.STALLED", 0.05)
    path = f"{await service.pending()}/weights.bin"

    async def stalling() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.get_running_loop().create_future()

    answer = await service.client.put(path, content=stalling())
    assert (answer.status_code, answer.json()["code"]) == (400, "INCOMPLETE_BODY")
    assert await nothing_is_kept(service)


async def test_what_is_stored_is_gridfs(service: Service) -> None:
    content = os.urandom(5 * MB)
    await service.client.put(f"{await service.pending()}/weights.bin", content=content)
    file = await service.database["artifacts.files"].find_one({})
    chunks = await service.database["artifacts.chunks"].find({"files_id": file["_id"]}).sort("n", 1).to_list(None)
    assert (file["length"], file["chunkSize"]) == (len(content), MB)
    assert [chunk["n"] for chunk in chunks] == [0, 1, 2, 3, 4]
    assert b"".join(chunk["data"] for chunk in chunks) == content


# parts


PARTS = [
    ("bytes=0-0", 0, 1),
    ("bytes=0-", 0, 24),
    ("bytes=5-9", 5, 10),
    ("bytes=5-999", 5, 24),
    ("bytes=-4", 20, 24),
    ("bytes=-999", 0, 24),
    ("Bytes=1-2", 1, 3),
    ("bytes=23-", 23, 24),
]


async def test_one_part(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    await service.client.put(path, content=CONTENT)
    for sent, begin, end in PARTS:
        got = await service.client.get(path, headers={"Range": sent})
        assert (got.status_code, got.content) == (206, CONTENT[begin:end])
        assert got.headers["content-range"] == f"bytes {begin}-{end - 1}/24"
        assert got.headers["content-length"] == str(end - begin)
        assert got.headers["repr-digest"] == digest(CONTENT)


async def test_parts_across_pieces(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    content = os.urandom(6 * MB + 7)
    await service.client.put(path, content=content)
    for begin, end in ((MB - 1, MB + 1), (MB, 2 * MB), (10, 5 * MB), (6 * MB, 6 * MB + 7)):
        got = await service.client.get(path, headers={"Range": f"bytes={begin}-{end - 1}"})
        assert got.content == content[begin:end]


async def test_what_is_no_range_asks_for_all(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    await service.client.put(path, content=CONTENT)
    for sent in ("bytes=2-1", "bytes=0-1,3-4", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=1", ""):
        got = await service.client.get(path, headers={"Range": sent})
        assert (got.status_code, got.content) == (200, CONTENT)


async def test_a_range_behind_the_end(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    await service.client.put(path, content=CONTENT)
    for sent in ("bytes=24-", "bytes=24-30", "bytes=-0", "bytes=99999999999999999999-"):
        got = await service.client.get(path, headers={"Range": sent})
        assert (got.status_code, got.json()["code"]) == (416, "RANGE_NOT_SATISFIABLE")
        assert got.headers["content-range"] == "bytes */24"


async def test_a_range_of_another_state_asks_for_all(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    await service.client.put(path, content=CONTENT)
    for state, status in (
        (f'"{SHA256}"', 206),
        ('"0"', 200),
        (f'W/"{SHA256}"', 200),
        ("Sat, 29 Oct 1994 19:43:31 GMT", 200),
    ):
        got = await service.client.get(path, headers={"Range": "bytes=0-1", "If-Range": state})
        assert got.status_code == status


async def test_who_has_it_gets_nothing(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    await service.client.put(path, content=CONTENT)
    for method in ("GET", "HEAD"):
        got = await service.client.request(method, path, headers={"If-None-Match": f'"{SHA256}"'})
        assert (got.status_code, got.content, got.headers["etag"]) == (304, b"", f'"{SHA256}"')
    assert (await service.client.get(path, headers={"If-Match": '"0"'})).status_code == 412


# digests


@pytest.mark.parametrize("field", ["Content-Digest", "Repr-Digest"])
async def test_another_digest_leaves_nothing(service: Service, field: str) -> None:
    path = f"{await service.pending()}/weights.bin"
    put = await service.client.put(path, content=CONTENT, headers={field: digest(b"other")})
    assert (put.status_code, put.json()["code"]) == (422, "DIGEST_MISMATCH")
    assert put.json()["errors"][0]["loc"] == ["header", field.lower()]
    assert (await service.client.get(path)).status_code == 404
    assert await nothing_is_kept(service)


async def test_both_fields_are_checked(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    right, wrong = digest(CONTENT), digest(b"other")
    put = await service.client.put(path, content=CONTENT, headers={"Content-Digest": right, "Repr-Digest": wrong})
    assert put.status_code == 422
    also = f"sha-512=:AAAA:, {right}"
    put = await service.client.put(path, content=CONTENT, headers={"Content-Digest": right, "Repr-Digest": also})
    assert put.status_code == 201


UNCHECKED = [
    ("sha-256=abc", 400),
    ("sha-256=:abc:", 400),
    ("sha-256=:AAAA:", 400),
    ("", 400),
    (digest(CONTENT, "sha512"), 422),
    ("md5=:AAAA:", 422),
]


async def test_digests_that_cannot_be_checked(service: Service) -> None:
    path = f"{await service.pending()}/weights.bin"
    for sent, status in UNCHECKED:
        put = await service.client.put(path, content=CONTENT, headers={"Repr-Digest": sent})
        assert put.status_code == status, put.text
    assert await nothing_is_kept(service)


# once per content


async def test_the_same_bytes_are_kept_once(service: Service) -> None:
    first, second = await service.pending(), await service.pending("vit")
    content = os.urandom(2 * MB)
    for path in (f"{first}/a.bin", f"{first}/b/c.bin", f"{second}/d.bin"):
        assert (await service.client.put(path, content=content)).status_code == 201
        assert (await service.client.get(path)).content == content
    assert await kept_bytes(service) == len(content)
    assert len(await records(service)) == 1


async def test_another_workspace_keeps_its_own(service: Service) -> None:
    other = {"X-Regesta-Workspace": "other"}
    path = f"{await service.pending()}/a.bin"
    await service.client.put(path, content=CONTENT)
    await service.client.post("/models", json={"name": "resnet"}, headers=other)
    declared = {"artifacts": [{"path": "a.bin", "size": 24, "sha256": SHA256}]}
    await service.client.post("/models/resnet/versions", json=declared, headers=other)
    assert (await service.client.get(path)).status_code == 200
    assert (await service.client.get(path, headers=other)).json()["code"] == "BYTES_NOT_KEPT"


async def test_a_file_is_replaced(service: Service) -> None:
    path = f"{await service.pending()}/a.bin"
    await service.client.put(path, content=b"old")
    put = await service.client.put(path, content=CONTENT)
    assert put.status_code == 200
    assert (await service.client.get(path)).content == CONTENT
    again = await service.client.put(path, content=CONTENT)
    assert again.status_code == 200


async def test_conditions_of_an_upload(service: Service) -> None:
    path = f"{await service.pending()}/a.bin"
    assert (await service.client.put(path, content=b"1", headers={"If-Match": "*"})).status_code == 412
    assert (await service.client.put(path, content=b"1", headers={"If-None-Match": "*"})).status_code == 201
    assert (await service.client.put(path, content=b"2", headers={"If-None-Match": "*"})).status_code == 412
    tag = f'"{hashlib.sha256(b"1").hexdigest()}"'
    assert (await service.client.put(path, content=b"2", headers={"If-Match": tag})).status_code == 200
    assert (await service.client.put(path, content=b"3", headers={"If-Match": tag})).status_code == 412
    assert (await service.client.delete(path, headers={"If-Match": tag})).status_code == 412


# sealed


async def test_a_ready_version_is_sealed(service: Service) -> None:
    artifacts = await service.pending()
    await service.client.put(f"{artifacts}/a.bin", content=CONTENT)
    await service.ready(artifacts)
    for method, path in (("PUT", "a.bin"), ("PUT", "b.bin"), ("DELETE", "a.bin")):
        answer = await service.client.request(method, f"{artifacts}/{path}", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (409, "SEALED")
    assert (await service.client.get(f"{artifacts}/a.bin")).content == CONTENT


async def test_a_version_that_is_sealed_meanwhile_gets_nothing(service: Service) -> None:
    artifacts = await service.pending()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"begin"
        await service.ready(artifacts)
        yield b"end"

    answer = await service.client.put(f"{artifacts}/a.bin", content=pieces())
    assert (answer.status_code, answer.json()["code"]) == (409, "SEALED")
    assert (await service.client.get(artifacts)).json()["artifacts"] == []


async def test_a_failed_version_takes_nothing(service: Service) -> None:
    artifacts = await service.pending()
    path = artifacts.removesuffix("/artifacts")
    await service.client.patch(path, json={"status": "failed"}, headers=MERGE_PATCH)
    answer = await service.client.put(f"{artifacts}/a.bin", content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (409, "STATUS_IS_FINAL")


async def test_a_file_is_taken_out_while_pending(service: Service) -> None:
    artifacts = await service.pending()
    await service.client.put(f"{artifacts}/a.bin", content=CONTENT)
    assert (await service.client.delete(f"{artifacts}/a.bin")).status_code == 204
    assert (await service.client.delete(f"{artifacts}/a.bin")).status_code == 404
    assert (await service.client.get(f"{artifacts}/a.bin")).status_code == 404


async def test_an_upload_is_a_change_of_the_version(service: Service) -> None:
    artifacts = await service.pending()
    await service.client.put(f"{artifacts}/a.bin", content=CONTENT, headers={"X-Request-Id": "upload-1"})
    events = await audited(service)
    assert events[-1] == {"action": "update", "resource": "versions", "key": "1"}
    event = service.observer.events[-1]
    assert event.request_id == "upload-1"
    paths = {change["path"] for change in event.changes}
    assert any(path.startswith("/artifacts") for path in paths)


# only told of


async def test_bytes_that_are_elsewhere(service: Service) -> None:
    await service.model()
    told = [{"path": "model.onnx", "size": 5, "sha256": "0" * 64}]
    await service.version(artifacts=told, source="s3://models/resnet")
    got = await service.client.get("/models/resnet/versions/1/artifacts/model.onnx")
    assert (got.status_code, got.json()["code"]) == (404, "BYTES_NOT_KEPT")
    assert "s3://models/resnet" in got.json()["detail"]
    listed = (await service.client.get("/models/resnet/versions/1/artifacts")).json()
    assert [file["kept"] for file in listed["artifacts"]] == [False]


# the list


async def test_the_list_has_one_digest(service: Service) -> None:
    artifacts = await service.pending()
    await service.client.put(f"{artifacts}/b/é.bin", content=b"2")
    await service.client.put(f"{artifacts}/a.bin", content=CONTENT)
    answer = await service.client.get(artifacts)
    listed = answer.json()
    files = [
        {"path": "a.bin", "sha256": SHA256, "size": 24},
        {"path": "b/é.bin", "sha256": hashlib.sha256(b"2").hexdigest(), "size": 1},
    ]
    assert listed["artifacts"] == [{**file, "kept": True} for file in files]
    assert listed["size"] == 25
    spelled = (
        '{"artifacts":['
        + ",".join(f'{{"path":"{file["path"]}","sha256":"{file["sha256"]}","size":{file["size"]}}}' for file in files)
        + "]}"
    )
    assert listed["digest"] == f"sha256:{hashlib.sha256(spelled.encode()).hexdigest()}"
    again = await service.client.get(artifacts, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    other = await service.pending("vit")
    await service.client.put(f"{other}/a.bin", content=CONTENT)
    await service.client.put(f"{other}/b/é.bin", content=b"2")
    assert (await service.client.get(other)).json()["digest"] == listed["digest"]


# paths


PATHS = [
    ("a%2Fb.bin", 201),
    ("a%20b.bin", 201),
    ("%2e%2e/x", 422),
    ("a/%2e%2e/x", 422),
    ("a%2f..%2fx", 422),
    ("a/%252e%252e/x", 422),
    ("%2fetc/passwd", 422),
    ("a//b", 422),
    ("a/", 422),
    ("a/%2e/b", 422),
    ("C:x", 422),
    ("a%5cb", 422),
    ("a%00", 404),
    ("a%01", 422),
    ("a%0a", 404),
    ("a%0ab", 404),
    ("%ff", 400),
    ("a" * 1025, 422),
]


async def test_paths(service: Service) -> None:
    artifacts = await service.pending()
    for path, status in PATHS:
        # Not through httpx's own idea of a path.
        target = httpx.URL("http://test/x").copy_with(raw_path=f"{artifacts}/{path}".encode())
        put = await service.client.put(target, content=b"x")
        assert put.status_code == status, put.text
        if status == 201:
            assert (await service.client.get(target)).status_code == 200
            assert (await service.client.delete(target)).status_code == 204
    assert (await service.client.get(artifacts)).json()["artifacts"] == []


async def test_an_encoded_slash_separates_no_keys(service: Service) -> None:
    artifacts = await service.pending()
    target = httpx.URL("http://test/x").copy_with(raw_path=f"{artifacts}/x".replace("resnet/", "resnet%2F").encode())
    assert (await service.client.put(target, content=b"x")).status_code == 404


# what is refused before a byte is kept


REFUSED: list[tuple[dict[str, str], int]] = [
    ({"Content-Encoding": "gzip"}, 415),
    ({"Content-Range": "bytes 0-1/5"}, 400),
    ({"Content-Length": str(200 * 2**30)}, 413),
    ({"Content-Length": "9" * 5000}, 413),
    ({"If-Match": "broken"}, 400),
]


async def test_refused_uploads(service: Service) -> None:
    path = f"{await service.pending()}/a.bin"
    for headers, status in REFUSED:
        put = await service.client.put(path, content=b"x", headers=headers)
        assert put.status_code == status, put.text
    assert await nothing_is_kept(service)


async def test_an_upload_has_no_parameters(service: Service) -> None:
    assert (await service.client.put(f"{await service.pending()}/a.bin?x=1", content=b"x")).status_code == 422


async def test_uploads_to_nowhere(service: Service) -> None:
    await service.model()
    for path in ("/models/none/versions/1", f"{at('resnet')}/versions/7", f"{at('resnet')}/versions/x"):
        put = await service.client.put(f"{path}/artifacts/a.bin", content=b"x")
        assert put.status_code == (422 if path.endswith("x") else 404)


async def test_the_largest_artifact(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGESTA_MODELS_LARGEST_ARTIFACT", "10")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"12345"

    async with serve(database) as service:
        path = f"{await service.pending()}/a.bin"
        assert (await service.client.put(path, content=endless())).status_code == 413
        assert (await service.client.put(path, content=b"12345678901")).status_code == 413
        assert await nothing_is_kept(service)
        assert (await service.client.put(path, content=b"1234567890")).status_code == 201


@pytest.mark.parametrize("value", ["", "many", "-1", "0", "1e9", str(2**63)])
def test_a_limit_is_a_number_of_bytes(value: str) -> None:
    environment = {"REGESTA_MODELS_LARGEST_ARTIFACT": value}
    if not value:
        assert ArtifactSettings.load(environment) == ArtifactSettings()
        return
    with pytest.raises(ConfigurationError, match="REGESTA_MODELS_LARGEST_ARTIFACT"):
        ArtifactSettings.load(environment)


def test_a_place_that_nobody_knows() -> None:
    with pytest.raises(ConfigurationError) as caught:
        vaults.FolderVault("nowhere://user:password@host")
    assert "password" not in str(caught.value)


async def test_a_thousand_and_one_files_are_refused(service: Service) -> None:
    told = [{"path": str(number), "size": 1, "sha256": "0" * 64} for number in range(1000)]
    artifacts = await service.pending(artifacts=told)
    assert (await service.client.put(f"{artifacts}/one-more", content=b"x")).status_code == 422


# other places


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    pytest.importorskip("fsspec")
    folder = f"file://{tmp_path}/kept" if request.param == "local" else f"memory://{os.urandom(4).hex()}"
    monkeypatch.setenv("REGESTA_MODELS_ARTIFACTS", folder)
    return folder


async def test_outside_of_the_database(place: str, any_service: Service, tmp_path: Path) -> None:
    content = os.urandom(9 * MB + 1)
    path = f"{await any_service.pending()}/a/b.bin"
    put = await any_service.client.put(path, content=content, headers={"Repr-Digest": digest(content)})
    assert put.status_code == 201, put.text
    again = await any_service.client.put(f"{path}.copy", content=content)
    assert again.status_code == 201
    assert (await any_service.client.get(path)).content == content
    part = await any_service.client.get(path, headers={"Range": f"bytes={MB - 1}-{3 * MB}"})
    assert part.content == content[MB - 1 : 3 * MB + 1]
    wrong = await any_service.client.put(f"{path}.wrong", content=b"x", headers={"Repr-Digest": digest(b"y")})
    assert wrong.status_code == 422
    assert len(await records(any_service)) == 1
    if place.startswith("file:"):
        files = [file for file in (tmp_path / "kept").rglob("*") if file.is_file()]
        assert [file.stat().st_size for file in files] == [len(content)]


async def test_bytes_that_are_gone_break_the_answer_off(place: str, service: Service, tmp_path: Path) -> None:
    path = f"{await service.pending()}/a.bin"
    await service.client.put(path, content=CONTENT)
    if not place.startswith("file:"):
        return
    for file in (tmp_path / "kept").rglob("*"):
        if file.is_file():
            file.write_bytes(CONTENT[:5])
    with pytest.raises(LookupError, match="missing"):
        await service.client.get(path)


async def test_the_memory_store_says_that_it_keeps_none(memory_service: Service) -> None:
    put = await memory_service.client.put(f"{await memory_service.pending()}/a.bin", content=b"x")
    assert (put.status_code, put.json()["code"]) == (501, "ARTIFACTS_UNSUPPORTED")


def test_each_part_of_a_file_fits_an_object_store() -> None:
    assert ArtifactSettings().largest <= vaults.PART * 10_000
