"""A store that an older build wrote opens, reads the same and can be written to."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from tests.service.processes import serving

from .make_store import API, MERGE_PATCH, PLUGINS, STORES, UPLOADED, read

FIXTURES = sorted(STORES.glob("*.tar.xz"))
RESNET = f"{API}/models/resnet50"


class Older(NamedTuple):
    """A client of today's service on an older store, and what the older build answered."""

    client: httpx.Client
    answers: dict[str, Any]


@pytest.fixture(params=FIXTURES, ids=[path.name.removesuffix(".tar.xz") for path in FIXTURES])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Older]:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    answers = json.loads((tmp_path / "answers.json").read_text("utf-8"))
    with serving(tmp_path, **PLUGINS) as service, service.client() as client:
        yield Older(client, answers)


def kept(before: Any, now: Any) -> Any:
    """Return `now` without the members of objects that `before` does not know: answers may grow."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {name: kept(value, now[name]) for name, value in before.items() if name in now}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [kept(*pair) for pair in zip(before, now, strict=True)]
    return now


def test_there_is_a_fixture() -> None:
    assert FIXTURES


def test_an_older_store_reads_the_same_and_can_be_written(older: Older) -> None:
    client, answers = older
    now = read(client)
    differences = {
        request: now[request] for request in answers if kept(answers[request], now[request]) != answers[request]
    }
    assert differences == {}
    for path in ("onnx/weights.bin", "onnx/again.bin"):
        assert client.get(f"{RESNET}/versions/1/artifacts/{path}").content == UPLOADED

    changed = client.patch(
        f"{RESNET}/versions/2",
        content=b'{"description": "changed after the upgrade"}',
        headers={"Content-Type": MERGE_PATCH, "If-Match": answers[f"default {RESNET}/versions/2"]["etag"]},
    )
    assert changed.status_code == 200, changed.text
    numbered = client.post(f"{RESNET}/versions", json={"source": "s3://models/next"})
    assert numbered.json()["number"] == 4  # 3 was deleted, and no number is given twice
    moved = client.put(f"{RESNET}/aliases/champion", json={"version": 4})
    assert moved.status_code == 200, moved.text
    before = answers[f"default {API}/audit-events"]["items"]
    after = read(client)[f"default {API}/audit-events"]["items"]
    assert after[-len(before) :] == before
    assert len(after) > len(before) + 2
