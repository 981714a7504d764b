"""Documents of another program that Python has no values for: dates beyond year 9999, texts that are not UTF-8."""

import csv
import io
import json
import struct
from datetime import datetime
from typing import Annotated, Any

import bson
import pytest
from beanie import Document, Indexed, PydanticObjectId
from bson import DatetimeMS, ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.watch.streams import watched

from regesta import Hooks, Parent, Reference, Resource
from regesta.audit import AuditTrail
from regesta.store import STANDARD, collection_of, exactly, is_whole, legible, tolerant

from .serving import served

BAD_TEXT = "caf\udce9"  # as it is read
YEAR_10000 = DatetimeMS(253_402_300_800_000)
VALUES = {"title": BAD_TEXT, "at": YEAR_10000, "free": {"a": [{"b": BAD_TEXT}]}}
BROKEN = sorted(VALUES)


class Entry(Document):
    name: Annotated[str, Indexed(unique=True)]
    title: Annotated[str, Indexed()] = ""
    at: Annotated[datetime | None, Indexed()] = None
    free: dict[str, Any] = {}

    class Settings:
        name = "unreadable_entries"


class Revised(Entry):
    class Settings:
        name = "unreadable_revised"
        use_revision = True


class Pointer(Document):
    name: Annotated[str, Indexed(unique=True)]
    entry: PydanticObjectId

    class Settings:
        name = "unreadable_pointers"


class Child(Document):
    parent: PydanticObjectId
    name: str

    class Settings:
        name = "unreadable_children"


def raw(document: dict[str, Any]) -> RawBSONDocument:
    return RawBSONDocument(exactly(document))


async def stored(document: type[Document], name: str, **values: Any) -> ObjectId:
    """What another program writes, byte for byte."""
    whole = {"_id": ObjectId(), "name": name, "title": "T", "at": None, "free": {}, **values}
    await collection_of(document).insert_one(raw(whole))
    identity: ObjectId = whole["_id"]
    return identity


async def three(document: type[Document], broken: str) -> ObjectId:
    await stored(document, "a")
    found = await stored(document, "b", **{broken: VALUES[broken]})
    await stored(document, "c")
    return found


def is_said(problem: Any, key: str = "b") -> None:
    assert (problem["status"], problem["code"]) == (409, "UNREADABLE")
    assert repr(key) in problem["detail"]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("document", [Entry, Revised])
async def test_it_is_named_and_the_others_are_shown(database: Any, document: type[Document], broken: str) -> None:
    async with served(database, document, key="name", name="things", sorts=["name", "title", "at"]) as client:
        await three(document, broken)
        found = await client.get("/things/b")
        assert found.status_code == 409
        is_said(found.json())
        for url in (
            "/things?include=etag",
            "/things?sort=title,name&include=etag",
            "/things?sort=-at,-name&include=etag",
        ):
            page = (await client.get(url)).json()
            assert sorted(item["name"] for item in page["items"]) == ["a", "c"]
            assert len(page["etags"]) == 2
            (told,) = page["unreadable"]
            assert told["key"] == "b"
            is_said(told["problem"])
        assert (await client.get("/things?fields=name")).json()["items"] == [{"name": name} for name in "abc"]

        lines = (await client.get("/things", headers={"accept": "application/x-ndjson"})).text.splitlines()
        first, second, third = map(json.loads, lines)
        assert (first["name"], third["name"]) == ("a", "c")
        assert second["unreadable"]["key"] == "b"
        is_said(second["unreadable"]["problem"])
        rows = csv.DictReader(io.StringIO((await client.get("/things", headers={"accept": "text/csv"})).text))
        assert [(row["name"], row["title"]) for row in rows] == [("a", "T"), ("b", "#UNREADABLE"), ("c", "T")]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("sort", ["title", "-title", "at", "-at"])
async def test_pages_go_on_behind_it(database: Any, broken: str, sort: str) -> None:
    async with served(database, Entry, key="name", name="things", sorts=["title", "at"]) as client:
        for title in ("caf", "caf\udce8", "caf\udcea", "café", "z"):
            await stored(Entry, legible(title), title=title)
        await three(Entry, broken)
        seen, url = [], f"/things?sort={sort}&page_size=1"
        while url:
            answer = await client.get(url)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            seen += [item["name"] for item in page["items"]] + [item["key"] for item in page.get("unreadable", [])]
            url = answer.links.get("next", {}).get("url", "")
        assert sorted(seen) == sorted(["caf", "caf\\xe8", "caf\\xea", "café", "z", "a", "b", "c"])


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("document", [Entry, Revised])
async def test_it_can_be_replaced_and_deleted(database: Any, document: type[Document], broken: str) -> None:
    also, hooks = [AuditTrail.document], Hooks(AuditTrail())
    async with served(database, document, key="name", name="things", hooks=hooks, also=also) as client:
        await three(document, broken)
        assert (await client.merge("/things/b", {"name": "b"})).status_code in (409, 422)
        assert (await client.get("/things/a")).status_code == 200
        batch = [{"op": "patch", "key": key, "body": {"title": "U"}} for key in "abc"]
        done = (await client.post("/things:batch", json={"atomic": False, "operations": batch})).json()["results"]
        assert [done[0]["status"], done[2]["status"]] == [200, 200]
        replaced = await client.put("/things/b", json={"title": "new", "at": None, "free": {}})
        assert replaced.status_code == 200, replaced.text
        assert (await client.get("/things/b")).json()["title"] == "new"

        await collection_of(document).delete_many({})
        await three(document, broken)
        line = json.dumps({"name": "b", "title": "imported"})
        headers = {"content-type": "application/x-ndjson"}
        imported = await client.post("/things?on_conflict=replace", content=line, headers=headers)
        assert json.loads(imported.text.splitlines()[0])["status"] == 200, imported.text
        assert (await client.get("/things/b")).json()["title"] == "imported"

        await collection_of(document).delete_many({})
        await three(document, broken)
        deleted = await client.delete("/things/b")
        assert deleted.status_code == 204, deleted.text
        assert [item["name"] for item in (await client.get("/things")).json()["items"]] == ["a", "c"]
        history = (await client.get("/things/b:history")).json()["items"]
        assert len(history) == 3


@pytest.mark.parametrize("broken", BROKEN)
async def test_counts_references_and_parents(database: Any, broken: str) -> None:
    entries = Resource(Entry, key="name", name="entries", filters=["title", "at"])
    pointers = Resource(Pointer, key="name", name="pointers", references={"entry": Reference(resource=entries)})
    children = Resource(Child, name="children", parent=Parent(resource=entries, field="parent"))
    async with served(database, entries, pointers, children) as client:
        identity = await three(Entry, broken)
        counted = (await client.get("/entries:facets?by=title,at")).json()["facets"]
        assert {one["value"] for one in counted["title"]} == {"T", *(["caf\\xe9"] if broken == "title" else [])}
        if broken == "at":
            assert "+010000-01-01T00:00:00.000Z" in {one["value"] for one in counted["at"]}
        await client.post("/pointers", json={"name": "p", "entry": str(identity)})
        assert (await client.get("/pointers/p?expand=entry")).json()["entry"] == str(identity)
        assert (await client.get("/pointers?expand=entry")).json()["items"][0]["entry"] == str(identity)
        assert (await client.post("/entries/b/children", json={"name": "c"})).status_code == 201
        assert len((await client.get("/entries/b/children")).json()["items"]) == 1
        assert (await client.delete("/entries/b?cascade=true")).status_code == 204


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_watch_tells_of_it_and_goes_on(database: Any, broken: str) -> None:
    async with watched(database, Entry, key="name", name="things") as client:
        token = (await client.get("/things?include=watch")).json()["watch_token"]
        async with client.watch("/things") as stream:
            await stream.beat()
            await three(Entry, broken)
            await collection_of(Entry).delete_one({"name": "b"})
            live = await stream.take(4)
        async with client.watch("/things", params={"after": token}) as stream:
            caught_up = await stream.take(4)
    for seen in (live, caught_up):
        assert [(one.event, one.data["key"]) for one in seen] == [
            *[("created", name) for name in "abc"],
            ("deleted", "b"),
        ]
        is_said(seen[1].data["problem"])
        assert "item" not in seen[1].data
        assert seen[2].data["item"]["name"] == "c"


async def test_a_key_that_is_no_text_is_shown_as_far_as_it_can_be(database: Any) -> None:
    async with served(database, Entry, key="name", name="things") as client:
        await stored(Entry, BAD_TEXT)
        (told,) = (await client.get("/things")).json()["unreadable"]
        assert told["key"] == "caf\\xe9"


TEXTS = st.binary().map(lambda found: found.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
STRANGE = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    TEXTS,
    st.integers(-(2**63), 2**63 - 1).map(DatetimeMS),
    st.integers(-5, 5),
    st.none(),
)


@settings(deadline=None)
@given(
    st.recursive(
        STRANGE,
        lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    )
)
def test_what_was_read_is_written_byte_for_byte(value: Any) -> None:
    encoded = exactly({"v": value})
    again = bson.decode(encoded, tolerant(STANDARD))
    assert exactly(again) == encoded
    assert struct.unpack("<i", encoded[:4]) == (len(encoded),)
    assert is_whole(legible(again))
    json.dumps(legible(again), default=str).encode()
