"""Keys that can be read and not stored, and moments, which have many texts."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, unquote

import pytest
from beanie import Document, Indexed
from pydantic import AwareDatetime, Field

from regesta import Hooks, Parent, Resource
from regesta.audit import AuditTrail

from .serving import served

NDJSON = {"content-type": "application/x-ndjson"}


class ByMoment(Document):
    at: Annotated[datetime, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_moment_values"


class ByAware(Document):
    id: AwareDatetime  # type: ignore[assignment]
    n: int = 0

    class Settings:
        name = "by_aware"


class ByDecimal(Document):
    at: Annotated[Decimal, Indexed(unique=True)]
    n: int = 0

    class Settings:
        name = "by_decimal"


class Reading(Document):
    at: Annotated[datetime, Indexed()] = Field(default=datetime(2000, 1, 1, tzinfo=UTC))
    name: str
    n: int = 0

    class Settings:
        name = "readings"


def operations(key: str) -> Iterator[dict[str, Any]]:
    yield {"op": "replace", "key": key, "body": {"n": 1}, "allow_missing": True}
    yield {"op": "patch", "key": key, "body": {"n": 1}}
    yield {"op": "delete", "key": key}


@pytest.mark.parametrize(
    ("document", "keys"),
    [
        (ByMoment, ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1700000000", "2026-01-01T25:00:00Z"]),
        (ByDecimal, ["1" * 35, "0." + "1" * 35, "1E+7000", "1E-7000"]),
    ],
)
async def test_a_key_that_cannot_be_stored_is_invalid(
    any_database: Any, document: type[Document], keys: list[str]
) -> None:
    async with served(any_database, document, key="at", name="things") as client:
        for key in keys:
            url = f"/things/{quote(key)}"
            answers = [
                await client.get(url),
                await client.merge(url, {"n": 1}),
                await client.put(f"{url}?allow_missing=true", json={"n": 1}),
                await client.delete(url),
                *[await client.post("/things:batch", json={"operations": [sent]}) for sent in operations(key)],
                await client.post("/things", json={"at": key}),
            ]
            assert [answer.status_code for answer in answers] == [422] * len(answers), key
            assert [answer.json()["errors"][0]["loc"][0] for answer in answers] == ["path"] * 4 + ["body"] * 4
            assert answers[-1].json()["errors"][0]["pointer"] == "/at"

            good = {"at": "2026-01-01T00:00:00Z" if document is ByMoment else "1.5"}
            for on_conflict in ("fail", "skip", "replace"):
                lines = b"".join(json.dumps(line).encode() + b"\n" for line in ({"at": key}, good))
                imported = await client.post(f"/things?on_conflict={on_conflict}", content=lines, headers=NDJSON)
                first, second, _ = map(json.loads, imported.text.splitlines())
                assert first["status"] == 422, first
                assert second["status"] in (200, 201, 409), second


SPELLINGS = [
    "2026-01-01T00:00:00.000Z",
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00+00:00",
    "2026-01-01T02:00:00.000000+02:00",
    "2026-01-01t00:00:00z",
    "2026-01-01T00:00:00.000999Z",  # MongoDB keeps milliseconds
]
SHOWN = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(("document", "key"), [(ByMoment, "at"), (ByAware, "id")])
async def test_a_moment_is_found_however_it_is_written(database: Any, document: type[Document], key: str) -> None:
    async with served(
        database, document, key=key, name="things", hooks=Hooks(AuditTrail()), also=[AuditTrail.document]
    ) as client:
        for number, text in enumerate(SPELLINGS):
            url = f"/things/{quote(text)}"
            written = await client.put(f"{url}?allow_missing=true", json={"n": number})
            assert written.status_code == (200 if number else 201), written.text
            assert written.json() == {"id": written.json()["id"], key: SHOWN, "n": number}
            if not number:
                assert unquote(written.headers["location"]) == f"/things/{SHOWN}"
            found = await client.get(url)
            assert (found.status_code, found.content) == (200, written.content)
            assert (await client.put(url, json={key: text, "n": number})).status_code == 200
            assert (await client.get(f"{url}:history")).json()["items"]
            patch = {"op": "patch", "key": text, "body": {"n": number}}
            batch = await client.post("/things:batch", json={"operations": [patch]})
            assert [result["key"] for result in batch.json()["results"]] == [SHOWN]
        deleted = {"op": "delete", "key": SPELLINGS[0]}
        batch = await client.post("/things:batch", json={"operations": [deleted]})
        assert batch.json()["results"] == [{"status": 204, "key": SHOWN}]
        assert (await client.get(f"/things/{SHOWN}")).status_code == 404


async def test_a_moment_is_a_parent_however_it_is_written(any_database: Any) -> None:
    days = Resource(ByMoment, key="at", name="days")
    readings = Resource(Reading, key="name", name="readings", parent=Parent(resource=days, field="at", stores="at"))
    async with served(any_database, days, readings) as client:
        assert (await client.post("/days", json={"at": SHOWN})).status_code == 201
        made = await client.post(f"/days/{SPELLINGS[0]}/readings", json={"name": "a"})
        assert made.status_code == 201, made.text
        for text in SPELLINGS:
            listed = await client.get(f"/days/{quote(text)}/readings")
            assert [item["name"] for item in listed.json()["items"]] == ["a"], listed.text
        assert (await client.get(f"/days/{quote('0001-01-01T00:00:00+14:00')}/readings")).status_code == 422
